"""A conversation with a fake model that gives scripted answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.runtime.values import Piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.chat.answering import Answer, Prepared


def read(prepared: Prepared, pieces: Iterable[str | int]) -> tuple[list[str], Answer]:
    """Return the texts shown while reading, and the answer; ints are tokens."""
    reader = prepared.reader()
    shown = []
    for piece in pieces:
        token = piece if isinstance(piece, int) else 0
        delta = reader.add(Piece(piece if isinstance(piece, str) else "", token))
        shown.append(delta.text)
    answer = reader.finish("stop")
    shown.append(answer.tail.text)
    assert "".join(shown) == answer.text
    return shown, answer


def cuts(text: str, sizes: Sequence[int]) -> list[str]:
    """Return ``text`` in pieces of the given sizes, in turn; none: in one."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)] if sizes else len(text)
        pieces.append(text[at : at + size])
        at += size
    return pieces
