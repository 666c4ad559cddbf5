"""Two programs measured in turns, in blocks, and the table of their ratios.

On a virtual machine one shot of llama-bench against the next scatters by 10 % and
drifts. So each round is a block: every side runs several times, forth and back
(A B B A), and its rate is all its tokens over all its seconds. Ratios are taken
within a block; the median of the blocks decides.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

ROUNDS = 5


class Sample(NamedTuple):
    """One run of one side."""

    n_tokens: int
    seconds: float
    decode: Sample | None = None
    """The part of it in which nothing but decode happened."""


class Block(NamedTuple):
    """All runs of one side in one round."""

    samples: tuple[Sample, ...]

    @property
    def per_s(self) -> float:
        n_tokens = sum(sample.n_tokens for sample in self.samples)
        return n_tokens / sum(sample.seconds for sample in self.samples)

    @property
    def decode(self) -> Block:
        return Block(tuple(sample.decode or sample for sample in self.samples))


def in_turns(
    prepare: Callable[[], AbstractContextManager[Sequence[Callable[[], Sample]]]],
    *,
    n_rounds: int,
    n_alternations: int,
) -> list[list[Block]]:
    """Return the blocks of each side, one a round.

    ``prepare`` starts what the sides need, afresh for each alternation: a process
    or a session keeps the memory layout it began with, good or bad.
    """
    rounds = []
    for _ in range(n_rounds):
        block: list[list[Sample]] = []
        for _ in range(n_alternations):
            with prepare() as sides:
                block = block or [[] for _ in sides]
                order = list(enumerate(sides))
                for index, side in [*order, *reversed(order)]:
                    block[index].append(side())
        rounds.append([Block(tuple(samples)) for samples in block])
    return [list(blocks) for blocks in zip(*rounds, strict=True)]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    against: str
    n_threads: int
    ours_per_s: float
    theirs_per_s: float
    ratios: tuple[float, ...]
    """One a round."""
    least: float | None
    """What the median ratio must reach; None for a control."""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def holds(self) -> bool:
        return self.least is None or self.ratio >= self.least


def compare(
    what: str,
    against: str,
    n_threads: int,
    ours: Sequence[Block],
    theirs: Sequence[Block],
    *,
    least: float | None,
) -> Row:
    """Return the row of two sides' blocks."""
    pairs = [
        (mine.per_s, other.per_s) for mine, other in zip(ours, theirs, strict=True)
    ]
    return Row(
        what,
        against,
        n_threads,
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        tuple(mine / other for mine, other in pairs),
        least,
    )


def show(rows: Sequence[Row], title: str) -> None:
    """Print the rows as one table; rates in tokens per second."""
    print(f"\n{title}")
    header = ("threads", "ours", "theirs", "ratio", "needed", "each round")
    print(f"{'':28}{'against':24}{'{:>8}{:>8}{:>8}{:>7}{:>7}   {}'.format(*header)}")
    for row in rows:
        needed = "" if row.least is None else f"{row.least:.2f}"
        each = " ".join(f"{ratio:.3f}" for ratio in row.ratios)
        mark = "" if row.holds else "  BELOW"
        print(
            f"{row.what:28}{row.against:24}{row.n_threads:8}{row.ours_per_s:8.1f}"
            f"{row.theirs_per_s:8.1f}{row.ratio:7.3f}{needed:>7}   {each}{mark}",
            flush=True,
        )
