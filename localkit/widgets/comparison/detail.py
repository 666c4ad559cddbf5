"""One sample whole: what was asked, two answers, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.render.text import clean
from localkit.render.word_diff import word_diff
from localkit.widgets.comparison.looking import MOST_COLUMNS, number, right_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.samples import Given, Samples

_LONGEST = 20_000
"""Characters of a text that are shown; its end says how many are not."""
_MOST_CHOICES = 40


def opened(
    samples: Samples,
    task: str,
    id_: str,
    index: int,
    *,
    label: str,
    shown: Sequence[str],
) -> dict[str, Any]:
    """Return one sample as the view draws it.

    Args:
        samples: Where it is.
        task: Its task.
        id_: Its name.
        index: Its place.
        label: The candidate whose answer is held against the reference's.
        shown: Labels whose scores of the choices are shown.

    Raises:
        ResultsInvalid: an answer is damaged.
    """
    given = samples.given(task, index)
    by_label = {one.label: one for one in given}
    base = given[0]
    other = by_label.get(label, base)
    sample = samples.questions(task).get(id_)
    texts = [_text(one.answer) for one in (base, other)]
    columns = [one for one in given if one.label in shown][:MOST_COLUMNS]
    return {
        "id": id_,
        "index": index,
        "prompt": _text(sample.prompt) if sample else "",
        "right": _text(right_answer(sample)),
        "answers": [
            _answer(one, text) for one, text in zip((base, other), texts, strict=True)
        ][: 2 if other is not base else 1],
        "diff": [] if other is base else word_diff(*texts),
        "columns": [one.label for one in columns],
        "choices": [
            {
                "text": _text(choice),
                "is_right": place == sample.gold,
                "scores": [_choice(one, place) for one in columns],
            }
            for place, choice in enumerate(sample.choices[:_MOST_CHOICES])
        ]
        if sample
        else [],
        "n_choices_left_out": max(0, len(sample.choices) - _MOST_CHOICES)
        if sample
        else 0,
    }


def _answer(given: Given, text: str) -> dict[str, Any]:
    return {
        "label": given.label,
        "text": text,
        "value": number(given.value),
        "why": _text(given.why),
        "values": [number(value) for value in given.values],
    }


def _choice(given: Given, place: int) -> list[Any]:
    """Return what a choice got, and whether it was the likeliest."""
    if place >= len(given.choices):
        return [None, None, False]
    scores = [choice.score for choice in given.choices]
    found = given.choices[place]
    best = scores.index(max(scores)) == place
    return [number(found.score), number(found.logprob), best]


def _text(text: str) -> str:
    text = clean(text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({len(text) - _LONGEST:,} more characters)"
