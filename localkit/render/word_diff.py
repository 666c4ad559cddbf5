"""What two texts say differently, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from localkit.render.text import clean, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Op = Literal["=", "-", "+"]
"""In both; in the left text alone; in the right one alone."""

MAX_PIECES = 4000
"""Pieces between the first and the last difference that are compared one by one; of
more, all are shown as changed. The matcher's time grows with their square."""

# Chinese and Japanese have no blanks between words: each sign is a piece there.
_PIECE = re.compile(
    r"\s+|[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u9fff]+|.", re.DOTALL
)
_STYLES = {
    "-": "background:rgba(213,94,0,0.18);text-decoration:line-through",
    "+": "background:rgba(0,158,115,0.22);text-decoration:underline",
}
_WORDS = {"=": "{}", "-": "[-{}-]", "+": "{{+{}+}}"}


def word_diff(left: str, right: str) -> list[tuple[Op, str]]:
    """Return the pieces of both texts in order; what was removed before what came.

    The texts of ``=`` and ``-`` make up ``left``, those of ``=`` and ``+`` ``right``,
    both without what `clean` takes away.
    """
    before, after = _pieces(left), _pieces(right)
    start = _common(before, after)
    stop = _common(before[start:][::-1], after[start:][::-1])
    changed = _changes(
        before[start : len(before) - stop], after[start : len(after) - stop]
    )
    tail = before[len(before) - stop :]
    return _joined([("=", before[:start]), *changed, ("=", tail)])


def word_diff_html(left: str, right: str) -> Markup:
    """Return both texts as one: what was removed struck out, what came underlined.

    Inline elements with inline styles alone; line ends need ``white-space:pre-wrap``
    around them.
    """
    return Markup("").join(
        escape(text)
        if op == "="
        else Markup('<{0} style="{1}">{2}</{0}>').format(
            "del" if op == "-" else "ins", _STYLES[op], escape(text)
        )
        for op, text in word_diff(left, right)
    )


def word_diff_plain(left: str, right: str) -> str:
    """Return both texts as one, as wdiff writes it: ``a [-b-] {+c+}``."""
    return "".join(_WORDS[op].format(text) for op, text in word_diff(left, right))


def _pieces(text: str) -> list[str]:
    """Return words, runs of blanks and single signs; together they are the text."""
    return _PIECE.findall(clean(text))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many pieces both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((index for index, (a, b) in pairs if a != b), shorter)


def _changes(
    before: Sequence[str], after: Sequence[str]
) -> list[tuple[Op, Sequence[str]]]:
    if max(len(before), len(after)) > MAX_PIECES:
        return [("-", before), ("+", after)]
    found: list[tuple[Op, Sequence[str]]] = []
    matcher = SequenceMatcher(None, before, after)
    for name, a, b, c, d in matcher.get_opcodes():
        if name == "equal":
            found.append(("=", before[a:b]))
        else:
            found += [("-", before[a:b]), ("+", after[c:d])]
    return found


def _joined(parts: Iterable[tuple[Op, Sequence[str]]]) -> list[tuple[Op, str]]:
    """Return the parts as texts; blanks between two changes belong to both.

    Two replaced words in a row read as one replacement then, not as four pieces.
    """
    found: list[tuple[Op, str]] = []
    removed = added = ""
    kept = [(op, "".join(pieces)) for op, pieces in parts]
    kept = [(op, text) for op, text in kept if text]
    for index, (op, text) in enumerate(kept):
        between = 0 < index < len(kept) - 1 and text.isspace()
        if op == "-" or (op == "=" and between):
            removed += text
        if op == "+" or (op == "=" and between):
            added += text
        if op == "=" and not between:
            found += _change(removed, added)
            removed = added = ""
            found.append(("=", text))
    return found + _change(removed, added)


def _change(removed: str, added: str) -> list[tuple[Op, str]]:
    change: list[tuple[Op, str]] = [("-", removed), ("+", added)]
    return [(op, text) for op, text in change if text]
