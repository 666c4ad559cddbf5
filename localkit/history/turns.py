"""A turn of a conversation: where it starts, and how it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from localkit.history.images import keep_images
from localkit.history.messages import images_of, link, message_to_json
from localkit.history.names import now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from localkit.chat.messages import Message


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a turn starts."""

    messages: tuple[Message, ...] = field(default=(), repr=False)
    """What was said before it."""
    base: str | None = None
    """Digest of the last of them; None: it is the first turn."""
    rolled_back: int = 0
    """Turns that fall off the line, because an earlier cell asks again."""
    head: str | None = None
    """Where the chat stood when the turn began."""
    note: str = ""
    """What a reader must know; empty if there is nothing."""


class Added(NamedTuple):
    """What became of a turn."""

    head: str
    """Digest of its last message."""
    n_missed: int
    """Messages that others added meanwhile: they stand before this turn, which was
    answered without them."""


def store_turn(
    db: sqlite3.Connection,
    name: str,
    begun: Begun,
    turn: Sequence[Message],
    *,
    cell: str | None,
) -> Added:
    """Put ``turn`` after what it began with, and move the chat's head there.

    In a transaction of the caller.
    """
    row = db.execute("SELECT head FROM chats WHERE name = ?", (name,))
    found = row.fetchone()
    base, before = begun.base, begun.messages
    n_missed = 0
    went_on = begun.head == begun.base and not begun.rolled_back
    if found is not None and found[0] != begun.head and went_on:
        depth = _depth(db, begun.base)
        base, before = found[0], ()
        n_missed = max(_depth(db, base) - depth, 0)
    if before and not _depth(db, base):
        # Somebody removed the chat meanwhile: what was said comes back.
        base = _append(db, None, before)
    head = _append(db, base, turn)
    time = now()
    upsert = (
        "INSERT INTO chats VALUES (?, ?, ?) ON CONFLICT (name) "
        "DO UPDATE SET head = excluded.head, changed = excluded.changed"
    )
    db.execute(upsert, (name, head, time))
    # A notebook that runs every day adds the turn once.
    same = "chat = ? AND cell IS ? AND base IS ? AND head = ?"
    there = f"SELECT 1 FROM turns WHERE {same}"  # noqa: S608 - a constant
    if db.execute(there, (name, cell, base, head)).fetchone() is None:
        query = "INSERT INTO turns (chat, cell, base, head, made) "
        values = (name, cell, base, head, time)
        db.execute(query + "VALUES (?, ?, ?, ?, ?)", values)

    return Added(head, n_missed)


def _append(
    db: sqlite3.Connection, parent: str | None, messages: Sequence[Message]
) -> str:
    """Store messages after ``parent``; return the digest of the last."""
    keep_images(db, images_of(messages).values())
    depth, head = _depth(db, parent), parent
    for message in messages:
        text = message_to_json(message)
        digest = link(head, text)
        depth += 1
        values = (digest, head, depth, now(), text)
        db.execute("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?)", values)
        head = digest
    if head is None:
        raise ValueError("no messages")
    return head


def _depth(db: sqlite3.Connection, digest: str | None) -> int:
    """Return the number of messages up to ``digest``; 0 where there is none."""
    query = "SELECT depth FROM messages WHERE digest = ?"
    row = db.execute(query, (digest,)).fetchone()
    return 0 if row is None else int(row[0])
