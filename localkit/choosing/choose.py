"""The rule by which one quant is taken when none was named.

The largest quant that fits as asked, with two exceptions. Where a quant of 8 bits
fits, none of more is taken: decoding reads all weights for every token, so 16 bits
cost twice the time and memory, and whether they are worth it a comparison has to
tell. And 32 bits are not taken where 16 fit. When nothing fits as asked, the
smallest that can be loaded at all is: with a shorter context, or partly on the GPU,
it has most of what is missing. Of two of one size, the label that sorts first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from localkit.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.choosing.weighing import Weighed, Weighing

_CEILINGS: Final = (8, 16)
"""Bits above which nothing is taken, where a quant of so many fits."""


def choose(weighing: Weighing) -> Weighing:
    """Return the weighing with its choice.

    Raises:
        StoreError: nothing there can be loaded here; says what the smallest needs.
    """
    fitting = [row for row in weighing.rows if row.fits]
    if fitting:
        allowed, ceiling = _below_ceiling(fitting)
        best = min(allowed, key=lambda row: (-row.size, row.label))
        why = _reason(best, weighing, ceiling)
        return replace(weighing, chosen=best.label, why=why)
    tight = [row for row in weighing.rows if row.verdict == "tight"]
    if tight:
        least = min(tight, key=lambda row: (row.size, row.label))
        why = f"none fits as asked; {least.label}, the smallest, loads {least.why}"
        return replace(weighing, chosen=least.label, why=why)
    raise _nothing(weighing)


def _below_ceiling(rows: Sequence[Weighed]) -> tuple[list[Weighed], int | None]:
    """Return the rows that may be taken, and the bits that others were left for."""
    for ceiling in _CEILINGS:
        if any(row.bits == ceiling for row in rows):
            below = [row for row in rows if row.bits <= ceiling]
            return below, ceiling if len(below) < len(rows) else None
    return list(rows), None


def _reason(best: Weighed, weighing: Weighing, ceiling: int | None) -> str:
    n_rows = len(weighing.rows)
    n_fitting = sum(row.fits for row in weighing.rows)
    if n_rows == 1:
        return f"{best.label} is the only one, and it {best.why}"
    free = f"{(best.available or 0) / 2**20:.0f} MiB"
    why = (
        f"{best.label} is the largest of the {n_fitting} of {n_rows} that fit {free} "
        f"with {best.n_ctx} tokens of context"
    )
    if ceiling is not None:
        why += f"; more than {ceiling} bits are taken only by name"
    return why


def _nothing(weighing: Weighing) -> StoreError:
    if not weighing.rows:
        return StoreError(
            f"{weighing.what} offers nothing to choose from", hint="name a file"
        )
    known = [row for row in weighing.rows if row.verdict == "no"]
    if not known:
        row = weighing.rows[-1]
        return StoreError(
            f"none of the {len(weighing.rows)} quants of {weighing.what} can be "
            f"weighed: {row.why}",
            hint=f"name one to pull it all the same: {weighing.what}:{row.label}",
        )
    least = min(known, key=lambda row: (row.size, row.label))
    return StoreError(
        f"none of the {len(weighing.rows)} quants of {weighing.what} fits: "
        f"{least.label}, the smallest, {least.why}",
        hint=f"free some memory, or name one to pull it all the same: "
        f"{weighing.what}:{least.label}",
    )
