"""Remove what is kept, so that no file holds it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from localkit.history.database import History

What = Literal["answers", "chats", "all"]
_CHATS = ("turns", "chats", "messages", "images")
_TABLES: dict[What, tuple[str, ...]] = {
    "answers": ("answers",),
    "chats": _CHATS,
    "all": ("answers", *_CHATS, "ratings", "votes", "presets", "versions"),
}


class Cleared(NamedTuple):
    """What was removed."""

    removed: dict[str, int]
    """Rows by kind."""
    wiped: bool
    """False: another process has the file open, and its log still holds them."""


def clear(history: History, what: What) -> Cleared:
    """Remove answers, chats, or everything.

    Raises:
        HistoryInvalid: the file is damaged.
        DiskFull: there is no room to write it anew; what was to go is gone.
    """
    removed = {}
    with history.transaction() as db:
        # Messages refer to each other: references are looked at when all is done.
        db.execute("PRAGMA defer_foreign_keys = ON")
        for table in _TABLES[what]:
            query = f"DELETE FROM {table}"  # noqa: S608 - names from this file
            removed[table] = db.execute(query).rowcount
    return Cleared(removed, history.wipe(shrink=True))
