"""Where a quant breaks: the passages it got most wrong, and the answers it lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.evals.comparing.row import Row
    from localkit.evals.running.answers import Answers
    from localkit.evals.tasks.task import Task
    from localkit.evals.text.quality import ScoredText

SPAN = 24
"""Tokens of one passage; its worth is their mean KL divergence."""


OF_THE_PICK = 3
"""Passages shown of the candidate to run; the others have one."""


WORTH_SHOWING = 0.05
"""Mean nats below which a passage reads as the reference's does."""
MOST_FLIPS = 40
"""Flips shown in all."""


class Passage(NamedTuple):
    """A stretch of the text where a candidate strays from the reference."""

    label: str
    """The candidate."""
    chunk: int
    kld: float
    """Mean over the passage, nats per token."""
    pieces: tuple[str, ...]
    """Text of each token."""
    klds: tuple[float, ...]
    """KL divergence of each token's prediction."""


class Flip(NamedTuple):
    """An item that the reference and a candidate answer differently, one rightly."""

    label: str
    """The candidate."""
    item: str
    context: str
    right: str
    """The right choice."""
    reference_choice: str
    candidate_choice: str

    @property
    def lost(self) -> bool:
        """Whether the candidate is the one that is wrong."""
        return self.candidate_choice != self.right


def collect_passages(
    rows: Sequence[Row], scored: ScoredText, *, pick: str | None
) -> tuple[Passage, ...]:
    """Return the pick's worst passages, then the worst one of every other candidate."""
    found = []
    for row in _pick_first(rows, pick):
        klds = [chunk.kld for chunk in scored.chunks.get(row.label, ())]
        count = OF_THE_PICK if row.label == pick else 1
        worst = worst_passages(row.label, klds, scored.pieces[: len(klds)], count=count)
        found += [passage for passage in worst if passage.kld >= WORTH_SHOWING]
    return tuple(found)


def collect_flips(
    rows: Sequence[Row], task: Task | None, answers: Answers, *, pick: str | None
) -> tuple[Flip, ...]:
    """Return items that one of candidate and reference got right, the pick's first."""
    if task is None:
        return ()
    reference = next(row.label for row in rows if row.is_reference)
    items = {item.id: item for item in task.samples}
    found = []
    for row in _pick_first(rows, pick):
        for base, score in zip(
            answers[reference], answers.get(row.label, ()), strict=False
        ):
            before, after = base.prediction(task.norm), score.prediction(task.norm)
            if before == after or before is None or after is None:
                continue
            if score.gold in (before, after):
                item = items[score.id]
                found.append(
                    Flip(
                        label=row.label,
                        item=item.id,
                        context=item.prompt,
                        right=item.choices[item.gold],
                        reference_choice=item.choices[before],
                        candidate_choice=item.choices[after],
                    )
                )
    return tuple(found[:MOST_FLIPS])


def worst_passages(
    label: str,
    klds: Sequence[NDArray[np.floating]],
    pieces: Sequence[Sequence[str]],
    *,
    count: int,
) -> list[Passage]:
    """Return the ``count`` worst stretches of `SPAN` tokens, at most one a chunk.

    ``klds`` holds one array a chunk, ``pieces`` the text of the same tokens.
    """
    found = []
    for chunk, (kld, texts) in enumerate(zip(klds, pieces, strict=True)):
        width = min(SPAN, kld.size)
        means = np.convolve(kld, np.full(width, 1 / width), mode="valid")
        start = int(means.argmax())
        found.append(
            Passage(
                label=label,
                chunk=chunk,
                kld=float(means[start]),
                pieces=tuple(texts[start : start + width]),
                klds=tuple(kld[start : start + width].tolist()),
            )
        )
    return sorted(found, key=lambda passage: -passage.kld)[:count]


def _pick_first(rows: Sequence[Row], pick: str | None) -> list[Row]:
    """Return the candidates without the reference, the pick first, lossiest next."""
    others = [row for row in rows if not row.is_reference]
    return sorted(others, key=lambda row: (row.label != pick, -row.kld))
