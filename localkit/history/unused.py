"""Messages and images that no conversation leads to any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_USED = """
WITH RECURSIVE used (digest) AS (
    SELECT head FROM chats UNION SELECT head FROM turns UNION SELECT base FROM turns
    UNION
    SELECT m.parent FROM messages AS m JOIN used ON m.digest = used.digest
)
SELECT digest FROM used WHERE digest IS NOT NULL
"""


def drop_unused(db: sqlite3.Connection) -> int:
    """Delete what nothing leads to; return the number of messages."""
    # Parents go with their children: references are looked at when all is done.
    db.execute("PRAGMA defer_foreign_keys = ON")
    gone = db.execute(
        f"DELETE FROM messages WHERE digest NOT IN ({_USED})"  # noqa: S608 - a constant
    ).rowcount
    if db.execute("SELECT 1 FROM images LIMIT 1").fetchone():
        shown = {
            image["digest"]
            for (text,) in db.execute(
                "SELECT message FROM messages WHERE message LIKE '%\"images\":%'"
            )
            for image in json.loads(text).get("images", ())
        }
        for (digest,) in db.execute("SELECT digest FROM images").fetchall():
            if digest not in shown:
                db.execute("DELETE FROM images WHERE digest = ?", (digest,))
    return gone
