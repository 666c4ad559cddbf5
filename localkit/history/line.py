"""The line of a conversation: its messages from the first to the head, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import LocalkitError
from localkit.history.images import read_images
from localkit.history.messages import StoredMessage, as_message, link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.messages import Message
    from localkit.errors import HistoryInvalid
    from localkit.history.database import History

_STEPS = (16, 1024)
"""Messages to read at first, and at once from then on: most often the line was read
before, and goes on by a turn."""
_WALK = """
WITH RECURSIVE line (digest, parent, depth, message) AS (
    SELECT digest, parent, depth, message FROM messages WHERE digest = ?
    UNION ALL
    SELECT m.digest, m.parent, m.depth, m.message
    FROM messages AS m JOIN line ON m.digest = line.parent
)
SELECT digest, parent, depth, message FROM line LIMIT ?
"""

_HINT = "`%llm history rm NAME` removes the chat; the others stay as they are"


class _Row(NamedTuple):
    digest: str
    parent: str | None
    depth: int
    message: str


@dataclass(frozen=True, slots=True)
class Line:
    """Messages in order, each with the digest that covers it and all before it."""

    digests: Sequence[str] = ()
    messages: tuple[Message, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    """How many messages there are up to and with a digest."""

    @property
    def head(self) -> str | None:
        """Digest of the last message; None: nothing was said."""
        return self.digests[-1] if self.digests else None

    def place(self, digest: str | None) -> int | None:
        """Return how many messages there are up to ``digest``; None: not on it."""
        return 0 if digest is None else self.places.get(digest)

    def upto(self, n_messages: int) -> tuple[Message, ...]:
        """Return the first messages."""
        return self.messages[:n_messages]


def read_line(history: History, head: str | None, known: Line) -> Line:
    """Return the line that ends at ``head``.

    Args:
        history: Where the messages are.
        head: Digest of the last message; None: nothing was said.
        known: A line that was read before: what is on it is not read again.

    Raises:
        HistoryInvalid: a message is missing, or does not fit its hash; names it.
    """
    new: list[_Row] = []
    parent = head
    while parent is not None and parent not in known.places:
        step = _STEPS[1] if new else _STEPS[0]
        rows = [_Row(*row) for row in history.select(_WALK, parent, step)]
        if not rows:
            raise history.invalid(f"has lost message {parent[:12]} of a chat", _HINT)
        for row in rows:
            if row.digest in known.places:
                break
            if link(row.parent, row.message) != row.digest:
                raise _damaged(history, row)
            new.append(row)
            parent = row.parent
    new.reverse()
    n_known = 0 if parent is None else known.places[parent]
    if not new and n_known == len(known.digests):
        return known
    messages = known.messages[:n_known] + _read(history, new)
    digests = (*known.digests[:n_known], *(row.digest for row in new))
    places = {digest: at for at, digest in enumerate(digests, 1)}
    return Line(digests, messages, places)


def _read(history: History, rows: Sequence[_Row]) -> tuple[Message, ...]:
    messages = []
    for row in rows:
        try:
            stored = StoredMessage.model_validate_json(row.message)
        except ValueError as error:
            raise _damaged(history, row) from error
        images: dict[str, Any] = {}
        if stored.images:
            images = read_images(history, {one.digest for one in stored.images})
        try:
            messages.append(as_message(stored, images))
        except LocalkitError as error:
            raise _damaged(history, row) from error
    return tuple(messages)


def _damaged(history: History, row: _Row) -> HistoryInvalid:
    return history.invalid(f"is damaged at message {row.digest[:12]}", _HINT)
