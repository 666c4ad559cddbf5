"""llama.cpp's own llama-perplexity, as `scripts/build_llama_tools.sh` builds it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.parity.ladder import N_CHUNKS, N_CTX, QUANTS, REFERENCE, TEXT
from tests.parity.ladder import statistics_lines as statistics
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAM = ROOT / "build" / "llama-tools" / "llama-perplexity"


def tool_lines(files: Mapping[str, Path], base: Path) -> dict[str, list[str]]:
    """Run the program over the ladder; return the statistics that it prints.

    ``base`` is the file that it keeps the reference's log-probabilities in.
    """
    _run(files[REFERENCE], base)
    return {quant: compare(files[quant], base) for quant in QUANTS}


def compare(quant: Path, base: Path) -> list[str]:
    """Return the statistics that the program prints for one quant."""
    return statistics(_run(quant, base, "--kl-divergence"))


def _run(model: Path, base: Path, *options: str) -> str:
    command = [
        str(PROGRAM),
        *("--model", str(model)),
        *("--file", str(TEXT)),
        *("--ctx-size", str(N_CTX)),
        *("--chunks", str(N_CHUNKS)),
        *("--threads", "1"),
        *("--gpu-layers", "0"),
        *("--kl-divergence-base", str(base)),
        *options,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout
