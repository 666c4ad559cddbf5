from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


def test_copies_are_stored_beside_their_source(run: Run, kit: Kit) -> None:
    result = run("quantize", "tiny:f16", "Q8_0", "q4_0")
    assert result.exit_code == 0, result.stderr
    refs = [str(listing.ref) for listing in kit.store.list()]
    assert refs == ["tiny:f16", "tiny:q4_0", "tiny:q8_0"]
    assert result.stdout.count("made") == 2


def test_missing_makes_only_what_is_not_there(run: Run, kit: Kit) -> None:
    run("quantize", "tiny:f16", "Q8_0")
    before = kit.store.resolve("tiny:q8_0").digest
    result = run("quantize", "tiny:f16", "Q8_0", "Q4_0", "--missing")
    assert result.stdout.count("was there") == 1
    assert result.stdout.count("made") == 1
    assert kit.store.resolve("tiny:q8_0").digest == before


def test_a_quantized_source_needs_to_be_asked_for_and_leaves_its_mark(
    run: Run,
) -> None:
    run("quantize", "tiny:f16", "Q8_0")
    refused = run("quantize", "tiny:q8_0", "Q4_0")
    assert refused.exit_code == 1
    assert "--requantize" in refused.stderr
    allowed = run("quantize", "tiny:q8_0", "Q4_0", "--requantize")
    assert "Q4_0 (from Q8_0)" in allowed.stdout


def test_one_copy_can_be_named(run: Run, kit: Kit) -> None:
    run("quantize", "tiny:f16", "Q8_0", "--as", "small:mine")
    assert kit.store.resolve("small:mine").info.quant == "Q8_0"


@pytest.mark.parametrize("words", [("Q8_0", "Q4_0"), ("Q8_0", "--missing")])
def test_as_names_one_new_copy(run: Run, words: tuple[str, ...]) -> None:
    result = run("quantize", "tiny:f16", *words, "--as", "small:mine")
    assert result.exit_code == 1
    assert "--as names one new copy" in result.stderr
