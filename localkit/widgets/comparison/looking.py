"""Finding samples: which ones a question is about, and a page of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import Cancelled
from localkit.evals.comparing.samples import is_flip
from localkit.render.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from localkit.evals.comparing.samples import Given, Samples, Scores
    from localkit.evals.tasks.sample import Sample
    from localkit.events import CancelToken
    from localkit.widgets.comparison.actions import Look, Show

PAGE = 25
MOST_COLUMNS = 12
"""Candidates whose answers stand side by side."""
_QUESTION, _ANSWER = 220, 120
"""Characters shown of each in a list; an opened sample shows them whole."""
_BATCH = 200


class Found(NamedTuple):
    """What a question came to."""

    indices: tuple[int, ...]
    page: int
    items: tuple[dict[str, Any], ...]
    """The samples of the page."""


def find(
    samples: Samples,
    scores: Scores,
    asked: Look,
    shown: Sequence[str],
    cancel: CancelToken,
) -> Found:
    """Return the samples that are asked for, and the texts of one page of them.

    Args:
        samples: Where they are.
        scores: What everybody got in the task.
        asked: The question.
        shown: Labels whose answers are shown.
        cancel: Ends a search through many answers.

    Raises:
        Cancelled: it did.
        ResultsInvalid: an answer is damaged.
    """
    indices: Iterable[int] = [
        index
        for index in range(len(scores.ids))
        if is_asked(scores, asked.show, asked.label, index)
    ]
    if asked.text:
        indices = _holding(samples, scores, asked, list(indices), cancel)
    kept = tuple(indices)
    last = max(0, math.ceil(len(kept) / PAGE) - 1)
    page = min(asked.page, last)
    on_page = kept[page * PAGE : (page + 1) * PAGE]
    given = samples.several(asked.task, on_page) if on_page else []
    questions = samples.questions(asked.task)
    return Found(
        kept,
        page,
        tuple(
            _line(questions, scores.ids[index], index, answers, shown)
            for index, answers in zip(on_page, given, strict=True)
        ),
    )


def is_asked(scores: Scores, show: Show, label: str, index: int) -> bool:
    """Whether a sample is one of those that ``show`` names of a candidate."""
    if show == "all" or label not in scores.values:
        return show == "all"
    reference = scores.labels[0]
    value, base = scores.values[label][index], scores.values[reference][index]
    match show:
        case "wrong":
            return value < 1
        case "lost":
            return is_flip(value, base) and value < base
        case "gained":
            return is_flip(value, base) and value > base
        case "flips":
            return is_flip(value, base)
        case "differ":
            return scores.said[label][index] != scores.said[reference][index]
        case _:
            return math.isnan(value)


def right_answer(sample: Sample | None) -> str:
    """Return the right answer; several are separated by bars."""
    if sample is None:
        return ""
    if sample.choices and 0 <= sample.gold < len(sample.choices):
        return sample.choices[sample.gold]
    return " | ".join(sample.target)


def _holding(
    samples: Samples,
    scores: Scores,
    asked: Look,
    indices: Sequence[int],
    cancel: CancelToken,
) -> Iterator[int]:
    """Yield the samples whose question, or an answer to it, holds the text."""
    wanted, questions = asked.text.casefold(), samples.questions(asked.task)
    for start in range(0, len(indices), _BATCH):
        if cancel.cancelled:
            msg = "the search was stopped"
            raise Cancelled(msg, hint="ask again")
        batch = indices[start : start + _BATCH]
        for index, given in zip(batch, samples.several(asked.task, batch), strict=True):
            sample = questions.get(scores.ids[index])
            texts = [scores.ids[index], *(one.answer for one in given)]
            if sample is not None:
                texts += [sample.prompt, *sample.choices, *sample.target]
            if any(wanted in text.casefold() for text in texts):
                yield index


def _line(
    questions: Mapping[str, Sample],
    id_: str,
    index: int,
    given: Sequence[Given],
    shown: Sequence[str],
) -> dict[str, Any]:
    sample = questions.get(id_)
    question = one_line(sample.prompt) if sample else id_
    if len(question) > _QUESTION:
        question = f"…{question[1 - _QUESTION :]}"
    by_label = {one.label: one for one in given}
    return {
        "index": index,
        "question": question,
        "right": one_line(right_answer(sample), limit=_ANSWER),
        "answers": [
            [number(by_label[label].value), _answer(by_label[label])]
            for label in shown
            if label in by_label
        ],
    }


def _answer(given: Given) -> str:
    return one_line(given.answer or given.why, limit=_ANSWER)


def number(value: float) -> float | None:
    """Return a number as JSON has it; None: there is none."""
    return None if math.isnan(value) else round(value, 4)
