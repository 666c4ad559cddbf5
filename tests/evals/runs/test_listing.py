from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled, ResultsInvalid, UsageError
from localkit.evals.runs.database import Runs
from localkit.evals.runs.evaluation import read_evaluation
from localkit.evals.runs.listing import find_run, list_runs, read_runs
from localkit.evals.runs.record import SampleNames
from localkit.evals.runs.removing import remove_run
from localkit.evals.runs.writing import Planned, open_run
from localkit.io import processes
from localkit.io.processes import this_process
from tests.evals.runs.made import TASK, make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLANNED = Planned("q4", "tiny:q4", "sha256:aa", TASK, SampleNames(ids=("s0", "s1")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def runs(path: Path) -> Iterator[Runs]:
    with closing(Runs(path)) as opened:
        yield opened


def begin(runs: Runs, planned: Planned = PLANNED, command: str = "localkit eval"):
    return open_run(
        runs, kind="eval", command=command, planned=[planned], environment={}
    )


def test_a_run_says_what_was_asked_of_whom(path, runs):
    id_ = make_run(runs, {"q4": [1, 0, 1], "q8": [1, 1, 1]})
    (run,) = read_runs(path)
    assert (run.id, run.kind, run.status, run.command) == (id_, "eval", "done", "made")
    assert run.models == ("q4", "q8")
    assert run.tasks == ("quiz",)
    assert [part.summary.value for part in run.parts] == [pytest.approx(2 / 3), 1]
    assert read_runs(path.parent / "none.db") == []


def test_the_same_again_goes_on_under_the_same_id(runs):
    with pytest.raises(KeyboardInterrupt), begin(runs) as first:
        raise KeyboardInterrupt
    assert find_run(runs, first.id).status == "interrupted"
    with begin(runs, command="again") as second:
        assert find_run(runs, first.id).status == "running"
    assert second.id == first.id
    assert [(run.status, run.command) for run in list_runs(runs)] == [("done", "again")]
    other = replace(PLANNED, weights_digest="sha256:bb")
    assert begin(runs, other).id != first.id
    other = replace(PLANNED, samples=SampleNames(ids=("s0",)))
    assert begin(runs, other).id != first.id


def test_a_run_says_how_it_ended(runs):
    with pytest.raises(Cancelled), begin(runs) as run:
        raise Cancelled("stopped")
    assert find_run(runs, run.id).status == "interrupted"
    with pytest.raises(ValueError, match="broken"), begin(runs) as run:
        raise ValueError("broken")
    assert find_run(runs, run.id).status == "interrupted"
    assert find_run(runs, run.id).remarks == ("stopped: broken",)
    with begin(runs) as run:
        run.fail("q4 died")
        run.fail("q4 died")
    assert find_run(runs, run.id).status == "partial"
    assert find_run(runs, run.id).remarks == ("q4 died",)


def test_E1_a_run_whose_process_was_killed_is_no_longer_running(runs):
    run = begin(runs)
    assert find_run(runs, run.id).status == "running"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    name = f"{processes.machine()}-{child.pid}-{this_process().started_s}"
    with runs.transaction() as db:
        db.execute("UPDATE runs SET process = ?", (name,))
    assert find_run(runs, run.id).status == "interrupted"
    # Another machine's process cannot be seen from here: it may still run.
    with runs.transaction() as db:
        db.execute("UPDATE runs SET process = '00000000-1-1'")
    assert find_run(runs, run.id).status == "running"
    with runs.transaction() as db:
        db.execute("UPDATE runs SET process = 'nothing that is a name'")
    assert find_run(runs, run.id).status == "interrupted"


def test_a_run_is_found_by_the_start_of_its_id(runs):
    ids = {make_run(runs, {"q4": [1] * n}) for n in range(1, 40)}
    assert len(ids) == 39
    for id_ in ids:
        assert find_run(runs, id_).id == id_
    firsts = [id_[0] for id_ in ids]
    often = max(firsts, key=firsts.count)
    with pytest.raises(UsageError, match="is the start of") as caught:
        find_run(runs, often)
    assert "name one of" in caught.value.hint
    for text in ("", "%", "_", "zz", "'; DROP TABLE runs"):
        with pytest.raises(UsageError, match="is no run"):
            find_run(runs, text)


def test_E1_what_was_answered_of_a_stopped_run_is_shown(path, runs):
    id_ = make_run(runs, {"q4": [1, 0, 1], "q8": [1]}, finish=False)
    evaluation = read_evaluation(path, id_)
    first, second = evaluation["q4"], evaluation["q8"]
    assert (first.n_scored, first.n_missing) == (3, 0)
    assert (second.n_scored, second.n_unscored, second.n_missing) == (1, 0, 2)
    frame = evaluation.to_frame()
    assert frame["unscored"].tolist().count("not asked yet") == 2


def test_a_database_with_a_damaged_run_names_it(path, runs):
    id_ = make_run(runs, {"q4": [1, 0]})
    for column, damage in (
        ("task", "{}"),
        ("summary", '{"value": "high"}'),
        ("samples", b"\x00"),
    ):
        with runs.transaction() as db:
            row = db.execute(f"SELECT {column} FROM parts").fetchone()
            db.execute(f"UPDATE parts SET {column} = ?", (damage,))
        with pytest.raises(ResultsInvalid, match=f"run {id_}"):
            read_evaluation(path, id_).to_frame()
        with runs.transaction() as db:
            db.execute(f"UPDATE parts SET {column} = ?", row)


def test_removing_a_run_keeps_the_answers_that_another_holds(path, runs):
    short = make_run(runs, {"q4": [1, 0]})
    long = make_run(runs, {"q4": [1, 0, 1]})
    assert remove_run(path, short).n_answers == 0
    assert read_evaluation(path, long)["q4"].n_scored == 3
    assert remove_run(path, long).n_answers == 3
    assert read_runs(path) == []
    assert runs.select("SELECT COUNT(*) FROM cells") == [(0,)]


def test_L1_removed_answers_do_not_linger_in_the_file(path, runs):
    id_ = make_run(runs, {"q4": [1] * 50}, answer="my secret")
    remove_run(path, id_)
    runs.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"my secret" not in path.read_bytes()
