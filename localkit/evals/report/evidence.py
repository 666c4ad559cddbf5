"""Where a quant breaks: the passages it got most wrong, and the answers it lost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from localkit.evals.running.scoring import scored_values
from localkit.evals.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from localkit.evals.comparing.row import Row
    from localkit.evals.running.result import SampleResult
    from localkit.evals.statistics.scored import Scored
    from localkit.evals.text.divergence import ChunkDivergence
    from localkit.evals.text.quality import ScoredText

    Found = Mapping[str, Sequence[SampleResult]]
    """Results of one task by candidate label."""

SPAN = 24
"""Tokens of one passage; its worth is their mean KL divergence."""
MOST_PASSAGES = 10
OF_THE_PICK = 3
"""Passages that the candidate to run has at least; of the others, one each."""
WORTH_SHOWING = 0.05
"""Mean nats below which a passage reads as the reference's does."""
MOST_FLIPS = 40
"""Flips shown in all."""
FLIPS_EACH = 8
"""Flips of one candidate in one task; of the candidate to run, twice as many."""
_FLIP = 0.5
"""Difference of an item's score from which its answer has flipped."""


class Passage(NamedTuple):
    """A stretch of the text where a candidate strays from the reference."""

    label: str
    """The candidate."""
    chunk: int
    """Number of the chunk in its text, from 0."""
    kld: float
    """Mean over the passage, nats per token."""
    pieces: tuple[str, ...]
    """Text of each token."""
    klds: tuple[float, ...]
    """KL divergence of each token's prediction."""
    p_reference: tuple[float, ...] = ()
    """Probability that the reference gave each token; empty: not known."""
    p_candidate: tuple[float, ...] = ()
    """The candidate's."""
    text: str = ""
    """Name of the text, where there are several."""

    @property
    def worst(self) -> int:
        """Number of the token with the highest KL divergence."""
        klds = [-1.0 if math.isnan(kld) else kld for kld in self.klds]
        return klds.index(max(klds))


class Flip(NamedTuple):
    """An item that the reference and a candidate answer differently, one rightly."""

    label: str
    """The candidate."""
    item: str
    context: str
    right: str
    """The right answer; several are separated by bars."""
    reference_choice: str
    """What the reference chose or wrote."""
    candidate_choice: str
    task: str = ""
    reference_value: float = math.nan
    """Score of the reference's answer; NaN: right if it is the right choice."""
    candidate_value: float = math.nan

    @property
    def lost(self) -> bool:
        """Whether the candidate is the one that is wrong."""
        if math.isnan(self.candidate_value):
            return self.candidate_choice != self.right
        return self.candidate_value < self.reference_value


def collect_passages(
    rows: Sequence[Row],
    scored: ScoredText | Mapping[str, ScoredText],
    *,
    pick: str | None,
) -> tuple[Passage, ...]:
    """Return the ten worst passages: the pick's first, then one of every other.

    ``scored`` is one text, or several by name.
    """
    texts = scored if isinstance(scored, Mapping) else {"": scored}
    names = {name: name if len(texts) > 1 else "" for name in texts}
    others = [row for row in _pick_first(rows, pick) if row.label != pick]
    is_candidate = any(row.label == pick and not row.is_reference for row in rows)
    count = max(OF_THE_PICK, MOST_PASSAGES - len(others)) if is_candidate else 0
    # Without a pick to look at, all have their share of the ten.
    each = 1 if count else max(1, MOST_PASSAGES // max(1, len(others)))
    found: list[Passage] = []
    for row in _pick_first(rows, pick):
        worst = [
            passage
            for name, text in texts.items()
            for passage in _passages(row.label, text, names[name], count=MOST_PASSAGES)
        ]
        worst.sort(key=lambda passage: -passage.kld)
        taken = worst[: count if row.label == pick else each]
        found += [passage for passage in taken if passage.kld >= WORTH_SHOWING]
    return tuple(found[:MOST_PASSAGES])


def collect_flips(
    rows: Sequence[Row],
    tasks: Sequence[Task] | Task | None,
    results: Mapping[str, Found] | Found,
    *,
    pick: str | None,
) -> tuple[Flip, ...]:
    """Return items that one of candidate and reference got right, the pick's first.

    Args:
        rows: The candidates.
        tasks: The tasks that were asked, or one.
        results: By task name, then by label; of one task, by label.
        pick: Whose flips come first.
    """
    if tasks is None:
        return ()
    asked = [tasks] if isinstance(tasks, Task) else tasks
    by_task: Mapping[str, Any] = (
        {tasks.name: results} if isinstance(tasks, Task) else results
    )
    reference = next(row.label for row in rows if row.is_reference)
    found: list[Flip] = []
    for row in _pick_first(rows, pick):
        most = 2 * FLIPS_EACH if row.label == pick else FLIPS_EACH
        for task in asked:
            answers = by_task.get(task.name, {})
            if reference in answers and row.label in answers:
                flips = _flips(task, row.label, answers[reference], answers[row.label])
                found += itertools.islice(flips, most)
    return tuple(found[:MOST_FLIPS])


def _flips(
    task: Task,
    label: str,
    reference: Sequence[SampleResult],
    candidate: Sequence[SampleResult],
) -> Iterator[Flip]:
    """Yield flips: what was lost first. Only their answers are held in memory."""
    before = scored_values(task, reference, texts=False)
    after = scored_values(task, candidate, texts=False)
    changed = [
        (index, base.value, one.value)
        for index, (base, one) in enumerate(zip(before, after, strict=False))
        if base.id == one.id and abs(base.value - one.value) >= _FLIP
    ]
    samples = {sample.id: sample for sample in task.samples}
    for index, value, other in sorted(changed, key=lambda each: each[2] - each[1]):
        base = _answer(task, reference, before, index)
        sample = samples.get(base.id)
        if sample is None:
            continue
        right = sample.choices[sample.gold] if sample.choices else ""
        yield Flip(
            label=label,
            item=base.id,
            context=sample.prompt,
            right=right or " | ".join(sample.target),
            reference_choice=base.answer,
            candidate_choice=_answer(task, candidate, after, index).answer,
            task=task.name,
            reference_value=value,
            candidate_value=other,
        )


def _answer(
    task: Task, results: Sequence[SampleResult], scored: Sequence[Scored], index: int
) -> Scored:
    """Return one item with the text of its answer."""
    epochs = max(1, len(results) // max(1, len(scored)))
    asked = results[index * epochs : (index + 1) * epochs]
    return scored_values(task, asked)[0]


def _passages(
    label: str, scored: ScoredText, text: str, *, count: int
) -> list[Passage]:
    chunks = scored.chunks.get(label, [])
    klds = [chunk.kld for chunk in chunks]
    found = worst_passages(label, klds, scored.pieces[: len(klds)], count=count)
    return [_with_probabilities(one, chunks[one.chunk], text) for one in found]


def _with_probabilities(passage: Passage, chunk: ChunkDivergence, text: str) -> Passage:
    """Add what both models gave each token that came."""
    start = _start(chunk.kld, len(passage.klds))
    window = slice(start, start + len(passage.klds))
    exact = chunk.nll_base_exact[window]
    base = chunk.nll_base[window] if np.isnan(exact).any() else exact
    return passage._replace(
        p_reference=tuple(np.exp(-base.astype(np.float64)).tolist()),
        p_candidate=tuple(np.exp(-chunk.nll[window].astype(np.float64)).tolist()),
        text=text,
    )


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
        start = _start(kld, width)
        window = kld[start : start + width]
        found.append(
            Passage(
                label=label,
                chunk=chunk,
                kld=float(window.mean()),
                pieces=tuple(texts[start : start + width]),
                klds=tuple(window.tolist()),
            )
        )
    return sorted(found, key=lambda passage: -passage.kld)[:count]


def _start(kld: NDArray[np.floating], width: int) -> int:
    """Return where the stretch of ``width`` tokens with the highest mean begins."""
    means = np.convolve(kld, np.full(width, 1 / width), mode="valid")
    return int(means.argmax())


def _pick_first(rows: Sequence[Row], pick: str | None) -> list[Row]:
    """Return the candidates without the reference, the pick first, lossiest next."""
    others = [row for row in rows if not row.is_reference]
    return sorted(others, key=lambda row: (row.label != pick, -_or_zero(row.kld)))


def _or_zero(kld: float) -> float:
    return 0.0 if math.isnan(kld) else kld
