"""The file that chats and answers lie in."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from localkit.config import Settings
from localkit.errors import DiskFull, HistoryInvalid
from localkit.history.database import History
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime

if TYPE_CHECKING:
    from pathlib import Path

ADD = "INSERT INTO presets VALUES (?, ?, 'now')"
READ = "SELECT body FROM presets WHERE name = ?"


def test_what_is_written_is_there_when_the_file_is_opened_again(history, path):
    with history.transaction() as db:
        db.execute(ADD, ("a", "{}"))
    history.close()
    with closing(History(path)) as again:
        assert again.select(READ, "a") == [("{}",)]


def test_a_transaction_that_fails_leaves_nothing(history):
    with suppress(RuntimeError), history.transaction() as db:
        db.execute(ADD, ("a", "{}"))
        raise RuntimeError
    assert history.select(READ, "a") == []


def test_L1_only_the_owner_may_read_the_history(history, path):
    with history.transaction() as db:
        db.execute(ADD, ("a", "{}"))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_damaged_history_is_refused_with_a_way_out(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(HistoryInvalid, match="not a database") as caught:
        History(path)
    assert "move it away" in caught.value.hint


def test_the_history_of_a_newer_localkit_is_left_alone(history, path):
    history.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE schema SET version = 99")
    db.close()
    with pytest.raises(HistoryInvalid, match="schema version 99"):
        History(path)


def test_a_full_disk_keeps_what_is_stored(history):
    with history.transaction() as db:
        db.execute(ADD, ("kept", "{}"))
    (pages,) = history.select("PRAGMA page_count")[0]
    # SQLite reports the cap as it reports a full disk: SQLITE_FULL.
    history.select(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull), history.transaction() as db:
        db.execute(ADD, ("lost", "x" * 100_000))
    assert history.select(READ, "kept") == [("{}",)]
    assert history.select(READ, "lost") == []


def test_what_is_deleted_and_wiped_stands_in_no_file(history, path):
    with history.transaction() as db:
        db.execute(ADD, ("a", "the canary sings" * 200))
    assert any(b"canary" in file.read_bytes() for file in path.parent.iterdir())
    with history.transaction() as db:
        db.execute("DELETE FROM presets")
    assert history.wipe(shrink=True)
    for file in path.parent.iterdir():
        assert b"canary" not in file.read_bytes(), file


def test_a_kit_opens_its_history_late_and_closes_it(tmp_path):
    kit = Kit(Settings(home=tmp_path), runtime=FakeRuntime())
    assert not (tmp_path / "history.db").exists()
    with kit.history.transaction() as db:
        db.execute(ADD, ("a", "{}"))
    assert kit.history is kit.history
    history = kit.history
    kit.close()
    assert (tmp_path / "history.db").exists()
    with pytest.raises(HistoryInvalid, match="closed"):
        history.select(READ, "a")


def test_a_history_that_is_not_to_be_kept_touches_no_disk(tmp_path):
    settings = Settings(home=tmp_path / "home", keep_history=False)
    with closing(Kit(settings, runtime=FakeRuntime())) as kit:
        with kit.history.transaction() as db:
            db.execute(ADD, ("a", "{}"))
        assert kit.history.select(READ, "a") == [("{}",)]
        assert kit.history.wipe(shrink=True)
    assert not list((tmp_path / "home").rglob("history*"))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself(tmp_path: Path) -> None:
    with closing(Kit(Settings(home=tmp_path), runtime=FakeRuntime())) as kit:
        with kit.history.transaction() as db:
            db.execute(ADD, ("parent", "{}"))
        child = os.fork()
        if not child:
            try:
                with kit.history.transaction() as db:
                    db.execute(ADD, ("child", "{}"))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        names = kit.history.select("SELECT name FROM presets ORDER BY name")
        assert names == [("child",), ("parent",)]
