"""Databases of older localkits go on; nothing in them is measured again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import ResultsInvalid
from localkit.evals.running.spec import QualitySpec, cell_key, spec_fields
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import list_runs

if TYPE_CHECKING:
    from pathlib import Path

SPEC = QualitySpec("text", "reference")
# As localkit made it while this was the version.
VERSION_1 = """
CREATE TABLE schema (version INTEGER NOT NULL);
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
INSERT INTO schema VALUES (1);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    key = cell_key("weights", SPEC, {"engine": "x"})
    spec = json.dumps(spec_fields(SPEC), sort_keys=True)
    cell = (key, "quality", "weights", spec, "{}", "2026-01-01T00:00:00+00:00")
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(VERSION_1)
        db.execute("INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?)", cell)
        db.execute("INSERT INTO samples VALUES (?, 'a', ?)", (key, b'{"value": 1}'))
    return path


def test_a_database_of_version_1_goes_on_as_it_is(old):
    for _ in range(2):
        with closing(Runs(old)) as runs:
            cell = runs.cell("weights", SPEC, {"engine": "x"})
            assert cell.record("a") == {"value": 1}
            assert list_runs(runs) == []
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT version FROM schema").fetchall() == [(2,)]


def test_an_old_database_gets_the_tables_of_a_new_one(old, tmp_path):
    query = "SELECT name, sql FROM sqlite_master ORDER BY name"
    with closing(Runs(old)) as runs, closing(Runs(tmp_path / "new.db")) as new:
        assert runs.select(query) == new.select(query)


def test_E1_a_migration_that_is_cut_off_leaves_the_old_database(old, monkeypatch):
    from localkit.evals.runs import schema

    broken = ("CREATE TABLE runs (id TEXT)", "SELECT nothing")
    monkeypatch.setitem(schema._STEPS, 1, broken)
    with pytest.raises(ResultsInvalid, match="syntax error"):
        Runs(old)
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT version FROM schema").fetchall() == [(1,)]
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert "runs" not in tables
