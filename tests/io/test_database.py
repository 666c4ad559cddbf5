"""The SQLite file that results and history share the handling of."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import LocalkitError, StoreError, StoreLocked
from localkit.io import database
from localkit.io.database import Database, Tables, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OLD = Tables(1, ("CREATE TABLE notes (text TEXT) STRICT",))
NEW = Tables(
    2,
    (
        "CREATE TABLE notes (text TEXT) STRICT",
        "CREATE TABLE marks (note INTEGER) STRICT",
    ),
    {1: ("CREATE TABLE marks (note INTEGER) STRICT",)},
)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Database]]:
    with ExitStack() as stack:

        def make(tables: Tables = NEW, **options: bool) -> Database:
            made = Database(tmp_path / "x.db", tables, invalid=LocalkitError, **options)
            return stack.enter_context(closing(made))

        yield make


def put(db: Database, text: str) -> None:
    with db.transaction() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (text,))


def test_an_older_file_is_brought_up_to_date_with_what_it_holds(opened):
    old = opened(OLD)
    put(old, "kept")
    old.close()
    for _ in range(2):
        new = opened(NEW)
        assert new.select("SELECT text FROM notes") == [("kept",)]
        assert new.select("SELECT * FROM marks") == []
        assert new.select("SELECT version FROM schema") == [(2,)]


def test_a_newer_file_and_one_of_another_program_are_left_alone(opened, tmp_path):
    opened(NEW).close()
    with pytest.raises(LocalkitError, match="schema version 2, this localkit reads 1"):
        opened(OLD)
    (tmp_path / "x.db").unlink()
    with closing(sqlite3.connect(tmp_path / "x.db")) as db, db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(LocalkitError, match="tables of something else"):
        opened()


def test_threads_take_turns(opened):
    db = opened()

    def work(name: int) -> None:
        for count in range(20):
            put(db, f"{name} {count}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert db.select("SELECT count(*) FROM notes") == [(80,)]


def test_a_file_that_another_process_holds_is_an_error_that_says_so(
    opened, tmp_path, monkeypatch
):
    opened().close()
    monkeypatch.setattr(database, "_BUSY_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        db = opened()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="has held"), db.transaction():
            pass


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "plain").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Database(tmp_path / "plain" / "x.db", NEW, invalid=LocalkitError)


def test_references_are_held_only_where_asked_for(opened):
    tables = Tables(
        1,
        statements(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY);"
            "CREATE TABLE marks (note INTEGER REFERENCES notes);"
        ),
    )
    db = opened(tables, foreign_keys=True)
    with (
        pytest.raises(LocalkitError, match="FOREIGN KEY"),
        db.transaction() as connection,
    ):
        connection.execute("INSERT INTO marks VALUES (7)")
    assert db.select("SELECT * FROM marks") == []


def test_a_file_in_memory_is_of_its_own():
    with closing(Database(None, NEW, invalid=LocalkitError)) as one:
        put(one, "mine")
        with closing(Database(None, NEW, invalid=LocalkitError)) as other:
            assert other.select("SELECT * FROM notes") == []


def test_a_log_that_another_process_reads_is_not_called_empty(
    opened, tmp_path, monkeypatch
):
    monkeypatch.setattr(database, "_BUSY_S", 0.05)
    db = opened()
    put(db, "one")
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM notes").fetchall()
        put(db, "two")
        assert not db.wipe()
        other.execute("COMMIT")
    assert db.wipe()


def test_an_error_does_not_quote_what_was_stored(opened):
    db = opened()
    put(db, "fine")
    with db.transaction() as connection:
        connection.execute("UPDATE notes SET text = CAST(x'736563726574ff' AS TEXT)")
    with pytest.raises(LocalkitError, match="UTF-8") as caught:
        db.select("SELECT text FROM notes")
    assert "secret" not in str(caught.value)


def test_damage_in_the_names_of_tables_is_damage_like_any_other(opened, tmp_path):
    opened().close()
    path = tmp_path / "x.db"
    content = path.read_bytes()
    assert b"CREATE TABLE notes" in content
    path.write_bytes(content.replace(b"CREATE TABLE notes", b"CREATE TABL\xe9 notes"))
    with pytest.raises(LocalkitError, match="cannot be used"):
        opened()
