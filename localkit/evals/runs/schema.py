"""The tables of the results database, and the way from older ones to these."""

from __future__ import annotations

from localkit.io.database import Tables, statements

VERSION = 2

_CELLS = """
CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    weights_digest TEXT NOT NULL,
    spec TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE samples (
    cell TEXT NOT NULL REFERENCES cells (key) ON DELETE CASCADE,
    item TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (cell, item)
) WITHOUT ROWID;
"""
# The blob comes last: a row is read up to the last column that is wanted.
_RUNS = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    kind TEXT NOT NULL,
    command TEXT NOT NULL,
    status TEXT NOT NULL,
    process TEXT NOT NULL,
    version TEXT NOT NULL,
    remarks TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE parts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    label TEXT NOT NULL,
    model TEXT NOT NULL,
    weights_digest TEXT NOT NULL,
    task TEXT NOT NULL,
    cell TEXT NOT NULL,
    n_samples INTEGER NOT NULL,
    summary TEXT NOT NULL,
    samples BLOB NOT NULL,
    PRIMARY KEY (run, position)
);
CREATE INDEX parts_by_cell ON parts (cell);
"""
_STEPS = {1: statements(_RUNS)}
"""What leads from a version to the next one."""
TABLES = Tables(VERSION, statements(_CELLS + _RUNS), _STEPS)
