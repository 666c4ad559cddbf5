"""Our perplexity and KL divergence against committed llama-perplexity output.

The quants are bit for bit the same on every x86-64 machine: llama.cpp compiles its
quantizers for the common instruction set. The logits are not: kernels round
differently. Where engine, instruction sets and compiler are those of the record,
every digit has to be the same; elsewhere the figures have to lie within `LIMITS`.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.parity import ladder
from tests.parity.questions import N_COMMITTED, TIE, gap, our_answers
from tests.parity.record import COMMITTED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

LIMITS = {
    "Mean ln(PPL(Q)/PPL(base))": 0.016,
    "Mean    KLD": 0.0012,
    "RMS Δp": 0.08,
    "Same top p": 1.8,
}
"""Twice the largest change that other kernels made to Q4_K_M with one engine on one
machine: without weight repacking ln ratio -0.0080, KLD +0.0004, same top -0.1 %;
without flash attention ln ratio -0.0009, KLD +0.0005, RMS Δp -0.015 %, same top
-0.9 %. Q2_K's KLD is 8 times larger and is held to a share (`KLD_SHARE`)."""
KLD_SHARE = 0.02
FIGURE = re.compile(r"^(?P<name>.*?)\s*:\s*(?P<value>-?[\d.]+)")


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return loaded


def test_the_text_is_the_one_of_the_record(reference: dict[str, Any]) -> None:
    digest = hashlib.sha256(ladder.TEXT.read_bytes()).hexdigest()
    assert digest == reference["text_sha256"]


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"},
    reason="other processors may fuse multiplications and additions",
)
def test_quants_are_the_same_bytes_on_every_machine(
    reference: dict[str, Any], files: dict[str, Path]
) -> None:
    made = {quant: ladder.tensor_digest(file) for quant, file in files.items()}
    assert made == reference["models"]["smollm2"]["tensor_sha256"]


@pytest.mark.parametrize("quant", ladder.SMOLLM2.labels)
def test_measures_equal_what_llama_perplexity_printed(
    quant: str,
    reference: dict[str, Any],
    files: dict[str, Path],
    our_lines: dict[str, list[str]],
) -> None:
    printed = reference["models"]["smollm2"]["printed"][quant]
    same_arithmetic = ladder.arithmetic(files[quant]) == reference["arithmetic"]
    check(our_lines[quant], printed, to_the_digit=same_arithmetic)


@pytest.mark.parity
@pytest.mark.timeout(600)
@pytest.mark.parametrize("quant", ladder.GEMMA3.labels)
def test_so_do_those_of_another_architecture(
    quant: str,
    reference: dict[str, Any],
    gemma3_files: dict[str, Path],
    our_gemma3_lines: dict[str, list[str]],
) -> None:
    file = gemma3_files[quant]
    recorded = reference["models"]["gemma3"]
    assert ladder.tensor_digest(file) == recorded["tensor_sha256"][quant]
    same_arithmetic = ladder.arithmetic(file) == reference["arithmetic"]
    printed = recorded["printed"][quant]
    check(our_gemma3_lines[quant], printed, to_the_digit=same_arithmetic)


def test_answers_are_those_that_llama_perplexity_gave(
    reference: dict[str, Any], files: dict[str, Path]
) -> None:
    answers = our_answers(files["Q4_K_M"], N_COMMITTED)
    theirs = reference["choices"]["printed"]["Q4_K_M"]["right"]
    for answer, theirs_right in zip(answers, theirs, strict=False):
        # What batches and kernels round moves a question by less than this.
        if gap(answer) > TIE:
            assert answer.correct("token") == (theirs_right == "1"), answer.id


def check(ours: list[str], printed: list[str], *, to_the_digit: bool) -> None:
    """Hold our lines to the program's."""
    if to_the_digit:
        assert ours == printed
        return
    compare_figures(figures(ours), figures(printed))


def compare_figures(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Hold figures to `LIMITS`, where kernels round otherwise."""
    for name, limit in LIMITS.items():
        if name == "Mean    KLD":
            limit = max(limit, KLD_SHARE * theirs[name])
        assert ours[name] == pytest.approx(theirs[name], abs=limit), name


def figures(lines: list[str]) -> dict[str, float]:
    """Return the value of each printed line by its name."""
    found = [match for line in lines if (match := FIGURE.match(line))]
    return {match["name"]: float(match["value"]) for match in found}
