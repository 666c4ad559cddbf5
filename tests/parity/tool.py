"""llama.cpp's own llama-perplexity, as `scripts/build_llama_tools.sh` builds it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.parity.ladder import N_CTX, REFERENCE, SMOLLM2, TEXT
from tests.parity.ladder import statistics_lines as statistics
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.parity.ladder import Ladder

PROGRAM = ROOT / "build" / "llama-tools" / "llama-perplexity"
CHOICES_CTX = 512
"""Tokens a sequence; the program makes room for four."""


class Choices(NamedTuple):
    """What the program says of multiple-choice questions."""

    accuracy: str
    """Per cent, as it prints them."""
    right: tuple[bool, ...]
    """One a question, in the order that it asked them in."""


def tool_lines(
    files: Mapping[str, Path], base: Path, ladder: Ladder = SMOLLM2
) -> dict[str, list[str]]:
    """Run the program over the ladder; return what it prints of each file.

    ``base`` is the file that it keeps the reference's log-probabilities in.
    """
    _, log = _run(files[REFERENCE], base, n_chunks=ladder.n_chunks)
    printed = {label: compare(files[label], base, ladder) for label in ladder.labels}
    estimate = re.search(r"Final estimate: (PPL = \S+ \+/- \S+)", log)
    assert estimate, log
    printed[REFERENCE].insert(0, estimate[1])
    return printed


def compare(quant: Path, base: Path, ladder: Ladder = SMOLLM2) -> list[str]:
    """Return the statistics that the program prints for one quant."""
    printed, _ = _run(quant, base, "--kl-divergence", n_chunks=ladder.n_chunks)
    return statistics(printed)


def hellaswag(model: Path, file: Path, n_questions: int) -> Choices:
    """Ask the questions of a text file, which the program shuffles."""
    return _ask(
        model, "--file", file, "--hellaswag", "--hellaswag-tasks", str(n_questions)
    )


def multiple_choice(model: Path, file: Path) -> Choices:
    """Ask the questions of a binary file, in its order."""
    return _ask(model, "--binary-file", file, "--multiple-choice")


def _ask(model: Path, option: str, file: Path, *options: str) -> Choices:
    done, _ = _call(model, option, str(file), "--ctx-size", str(CHOICES_CTX), *options)
    shares = re.findall(r"^(\d+)\t([\d.]+)", done, re.MULTILINE)
    counts = [round(int(n) * float(share) / 100) for n, share in shares]
    before = [0, *counts]
    right = tuple(now > then for then, now in zip(before, counts, strict=False))
    return Choices(shares[-1][1], right)


def _run(model: Path, base: Path, *options: str, n_chunks: int) -> tuple[str, str]:
    return _call(
        model,
        *("--file", str(TEXT)),
        *("--ctx-size", str(N_CTX)),
        *("--chunks", str(n_chunks)),
        *("--kl-divergence-base", str(base)),
        *options,
    )


def _call(model: Path, *options: str) -> tuple[str, str]:
    """Return its standard output, where figures are, and its log."""
    command = [str(PROGRAM), "--model", str(model), "--threads", "1"]
    command += ["--gpu-layers", "0", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return done.stdout, done.stderr
