"""The tables of the history database.

Messages are linked by hash: a digest covers the parent's digest and the content, so
conversations that begin alike share rows and a fork costs one row.
"""

from __future__ import annotations

VERSION = 1

TABLES = (
    """CREATE TABLE messages (
        digest TEXT PRIMARY KEY,  -- sha256 of canonical JSON {parent, message}
        parent TEXT REFERENCES messages,
        depth INTEGER NOT NULL,   -- messages up to and with this one
        made TEXT NOT NULL,       -- ISO 8601, UTC
        message TEXT NOT NULL     -- JSON, as `history.messages` writes it
    ) STRICT""",
    # Every column that refers to messages has an index: removing one looks them up.
    "CREATE INDEX messages_of_parent ON messages (parent)",
    """CREATE TABLE images (
        digest TEXT PRIMARY KEY,  -- of size and pixels, as messages name it
        png BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE chats (
        name TEXT PRIMARY KEY,
        head TEXT REFERENCES messages,  -- NULL: nothing said yet
        changed TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE turns (
        id INTEGER PRIMARY KEY,
        chat TEXT NOT NULL REFERENCES chats ON DELETE CASCADE,
        cell TEXT,                      -- id of the notebook cell that asked
        base TEXT REFERENCES messages,  -- head before the turn
        head TEXT NOT NULL REFERENCES messages,
        made TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX chats_of_head ON chats (head)",
    "CREATE INDEX turns_of_chat ON turns (chat, cell, id)",
    "CREATE INDEX turns_of_base ON turns (base)",
    "CREATE INDEX turns_of_head ON turns (head)",
    """CREATE TABLE answers (
        key TEXT PRIMARY KEY,    -- sha256 of everything that decides an answer
        model TEXT NOT NULL,     -- model ref, for people
        n_bytes INTEGER NOT NULL,
        made TEXT NOT NULL,
        used TEXT NOT NULL,      -- when it was last shown again
        result TEXT NOT NULL     -- JSON of a Result
    ) STRICT""",
    "CREATE INDEX answers_by_use ON answers (used, n_bytes)",
    """CREATE TABLE ratings (
        id INTEGER PRIMARY KEY,
        made TEXT NOT NULL,
        prompt TEXT NOT NULL,
        candidate TEXT NOT NULL,  -- JSON: ref, quant, digest, params, variables
        answer TEXT NOT NULL,
        score INTEGER NOT NULL,   -- -1 or 1, or 1 to 5
        comment TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE votes (
        id INTEGER PRIMARY KEY,
        made TEXT NOT NULL,
        prompt TEXT NOT NULL,
        first TEXT NOT NULL,        -- JSON of a candidate
        second TEXT NOT NULL,
        first_answer TEXT NOT NULL,
        second_answer TEXT NOT NULL,
        winner TEXT NOT NULL CHECK (winner IN ('first', 'second', 'tie', 'neither')),
        blind INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE presets (
        name TEXT PRIMARY KEY,
        body TEXT NOT NULL,  -- JSON
        made TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE versions (
        id INTEGER PRIMARY KEY,
        playground TEXT NOT NULL,
        body TEXT NOT NULL,  -- JSON: prompt, variables, examples, columns, answers
        made TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX versions_of_playground ON versions (playground, id)",
)
