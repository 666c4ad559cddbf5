"""A cell that changed, as a terminal shows it: causes first, then the texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.render.text import clean
from localkit.render.word_diff import word_diff_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.regression.finding import Finding, Outcome

_MARKS = {"changed": "✗", "within": "≈", "noted": "·", "same": "="}


def outcome_text(name: str, outcome: Outcome) -> str:
    """Return everything that was found in a cell."""
    return "\n".join([f"{name} {clean(outcome.title)}", "", *_lines(outcome)])


def _lines(outcome: Outcome) -> Iterator[str]:
    order = ("changed", "within", "noted")
    every = (*outcome.findings, *outcome.speeds)
    found = sorted(
        (one for one in every if one.standing in order),
        key=lambda one: order.index(one.standing),
    )
    yield from (f"{_MARKS[one.standing]} {clean(one.words)}" for one in found)
    for one in found:
        if one.before is not None and one.after is not None:
            yield from _texts(one)


def _texts(finding: Finding) -> Iterator[str]:
    before, after = finding.before or "", finding.after or ""
    for title, text in (
        ("saved:", clean(before)),
        ("fresh:", clean(after)),
        ("word by word ([-saved-] {+fresh+}):", word_diff_plain(before, after)),
    ):
        yield ""
        yield title
        yield from (f"  {line}" for line in text.split("\n"))
