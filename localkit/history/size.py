"""How much is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.history.database import History

_FILE = "page_count * page_size FROM pragma_page_count, pragma_page_size"


class Size(NamedTuple):
    """What a history holds."""

    path: Path | None
    """None: it is in memory."""
    n_bytes: int
    """Of the file, its log not counted."""
    n_chats: int
    n_messages: int
    n_images: int
    n_answers: int
    answer_bytes: int
    n_judged: int
    """Ratings and votes."""
    n_presets: int
    n_versions: int
    """Of playgrounds."""


def size_of(history: History) -> Size:
    """Return what ``history`` holds.

    Raises:
        HistoryInvalid: its file is damaged.
    """

    def count(what: str) -> int:
        return int(history.select(f"SELECT {what}")[0][0])

    return Size(
        path=history.path,
        n_bytes=count(_FILE),
        n_chats=count("count(*) FROM chats"),
        n_messages=count("count(*) FROM messages"),
        n_images=count("count(*) FROM images"),
        n_answers=count("count(*) FROM answers"),
        answer_bytes=count("coalesce(sum(n_bytes), 0) FROM answers"),
        n_judged=count("(SELECT count(*) FROM ratings) + (SELECT count(*) FROM votes)"),
        n_presets=count("count(*) FROM presets"),
        n_versions=count("count(*) FROM versions"),
    )
