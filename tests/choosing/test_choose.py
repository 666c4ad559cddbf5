"""The rule that takes one quant, without anything to weigh."""

from __future__ import annotations

from itertools import permutations

import pytest

from localkit.choosing.choose import choose
from localkit.choosing.weighing import Verdict, Weighed, Weighing
from localkit.errors import StoreError
from localkit.gguf.types import nominal_bits


def row(label: str, size: int, verdict: Verdict = "fits") -> Weighed:
    return Weighed(
        label=label,
        size=size,
        bits=nominal_bits(label),
        bits_per_weight=None,
        needed=size,
        available=100 << 20,
        verdict=verdict,
        n_ctx=None if verdict == "no" else 4096,
        n_ctx_that_fits=4096,
        why="needs 200 MiB of 100 MiB" if verdict == "no" else "fits",
    )


def chosen(*rows: Weighed) -> str | None:
    return choose(Weighing("hf.co/o/r", rows, None)).chosen


def test_the_largest_that_fits_is_taken() -> None:
    rows = [row("Q6_K", 6, "no"), row("Q5_K_M", 5), row("Q4_K_M", 4), row("Q2_K", 2)]
    assert chosen(*rows) == "Q5_K_M"
    why = choose(Weighing("x", tuple(rows), None)).why
    assert why == (
        "Q5_K_M is the largest of the 3 of 4 that fit 100 MiB "
        "with 4096 tokens of context"
    )


def test_above_eight_bits_is_taken_only_where_eight_do_not_exist_or_fit() -> None:
    full = [row("F32", 32), row("BF16", 16), row("F16", 16)]
    assert chosen(*full, row("Q8_0", 8), row("Q4_K_M", 4)) == "Q8_0"
    assert chosen(*full, row("Q4_K_M", 4)) == "BF16"
    assert chosen(row("F32", 32), row("Q4_K_M", 4)) == "F32"
    weighing = choose(Weighing("x", (*full, row("Q8_0", 8)), None))
    assert weighing.why.endswith("more than 8 bits are taken only by name")


def test_of_two_of_one_size_the_first_by_name_whatever_the_order() -> None:
    rows = [row("Q4_K_M", 4), row("Q4_1", 4), row("IQ4_NL", 4)]
    assert {chosen(*order) for order in permutations(rows)} == {"IQ4_NL"}


def test_where_none_fits_as_asked_the_smallest_that_loads_is_taken() -> None:
    rows = [row("Q8_0", 8, "no"), row("Q4_K_M", 4, "tight"), row("Q2_K", 2, "tight")]
    weighing = choose(Weighing("x", tuple(rows), None))
    assert weighing.chosen == "Q2_K"
    assert weighing.why.startswith("none fits as asked; Q2_K, the smallest")


def test_where_nothing_loads_the_smallest_says_what_it_needs() -> None:
    rows = [row("Q8_0", 8, "no"), row("Q2_K", 2, "no")]
    with pytest.raises(StoreError, match="none of the 2 quants") as caught:
        chosen(*rows)
    assert "Q2_K, the smallest, needs 200 MiB of 100 MiB" in str(caught.value)
    assert "hf.co/o/r:Q2_K" in caught.value.hint


def test_what_cannot_be_weighed_is_never_chosen() -> None:
    assert chosen(row("Q8_0", 8, "unknown"), row("Q4_0", 4)) == "Q4_0"
    with pytest.raises(StoreError, match="can be weighed"):
        chosen(row("Q8_0", 8, "unknown"))


def test_an_empty_offer_is_an_error() -> None:
    with pytest.raises(StoreError, match="nothing to choose from"):
        chosen()
