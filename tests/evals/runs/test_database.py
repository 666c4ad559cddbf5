from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import DiskFull, ResultsInvalid
from localkit.evals.running.spec import QualitySpec, SpeedSpec, cell_key
from localkit.evals.runs.database import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SPEC = QualitySpec("text", "reference")
CHILD = """
import sys
from pathlib import Path
from localkit.evals.runs.database import Runs
from localkit.evals.running.spec import QualitySpec
cell = Runs(Path(sys.argv[1])).cell("weights", QualitySpec("text", "reference"), {})
for item in range(10_000):
    cell.put_record(str(item), {"value": item})
    print(item, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "runs.db"


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Runs]]:
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(Runs(path)))


def test_samples_come_back_as_they_went_in(path, opened):
    cell = opened(path).cell("weights", SPEC, {"engine": "x"})
    cell.put_record("a", {"value": 1.5, "word": "é"})
    cell.put_arrays("b", {"kld": np.arange(3.0), "same": np.array([True, False])})
    again = opened(path).cell("weights", SPEC, {"engine": "x"})
    assert again.items() == {"a", "b"}
    assert again.record("a") == {"value": 1.5, "word": "é"}
    assert again.arrays("b")["kld"].tolist() == [0, 1, 2]
    assert again.arrays("b")["same"].dtype == np.bool_


def test_the_first_value_of_a_sample_stays(path, opened):
    cell = opened(path).cell("weights", SPEC, {})
    cell.put_record("a", {"value": 1})
    cell.put_record("a", {"value": 2})
    assert cell.record("a") == {"value": 1}
    cell.put_record("a", {"value": 3}, replace=True)
    assert cell.record("a") == {"value": 3}


def test_E3_other_weights_spec_or_runtime_is_another_cell():
    key = cell_key("weights", SPEC, {"engine": "x"})
    others = {
        cell_key("changed", SPEC, {"engine": "x"}),
        cell_key("weights", QualitySpec("text", "other"), {"engine": "x"}),
        cell_key("weights", QualitySpec("text", "reference", 1024), {"engine": "x"}),
        cell_key("weights", SPEC, {"engine": "y"}),
        cell_key("weights", SpeedSpec(512, 128), {"engine": "x"}),
    }
    assert key == cell_key("weights", SPEC, {"engine": "x"})
    assert key not in others
    assert len(others) == 5


def test_L1_only_the_owner_may_read_the_results(path, opened):
    opened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_E1_a_killed_kernel_loses_no_acknowledged_sample(path, opened, seed):
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(1 + 7 * seed):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        acknowledged = child.stdout.read().split()
    cell = opened(path).cell("weights", SPEC, {})
    assert set(acknowledged) <= cell.items()
    for item in cell.items():
        assert cell.record(item) == {"value": int(item)}


def test_E1_a_file_of_something_else_is_refused(path, opened):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ResultsInvalid, match="not a database"):
        opened(path)
    assert path.read_bytes().startswith(b"not a database")


def read_all(runs: Runs) -> None:
    cell = runs.cell("weights", SPEC, {})
    for item in range(50):
        cell.arrays(str(item))


def test_E1_damage_in_the_middle_is_refused_when_it_is_met(path, opened):
    cell = opened(path).cell("weights", SPEC, {})
    for item in range(50):
        cell.put_arrays(str(item), {"x": np.random.default_rng(item).random(500)})
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = bytes(8192)
    path.write_bytes(content)
    with pytest.raises(ResultsInvalid):
        read_all(opened(path))


def test_results_of_a_newer_localkit_are_left_alone(path, opened):
    opened(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE schema SET version = 99")
    db.close()
    with pytest.raises(ResultsInvalid, match="schema version 99") as caught:
        opened(path)
    assert "move it away" in caught.value.hint


def test_a_database_of_another_program_is_left_alone(path, opened):
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    with pytest.raises(ResultsInvalid, match="something else"):
        opened(path)


def test_a_sample_of_the_wrong_shape_is_refused(path, opened):
    cell = opened(path).cell("weights", SPEC, {})
    cell.put_record("a", {"value": 1})
    with pytest.raises(ResultsInvalid, match="missing or damaged"):
        cell.arrays("a")
    with pytest.raises(ResultsInvalid, match="missing or damaged"):
        cell.record("nowhere")


def test_two_connections_write_side_by_side(path, opened):
    first, second = opened(path), opened(path)
    first.cell("weights", SPEC, {}).put_record("a", {"value": 1})
    second.cell("weights", SPEC, {}).put_record("b", {"value": 2})
    assert first.cell("weights", SPEC, {}).items() == {"a", "b"}


def test_E1_a_full_disk_keeps_what_is_stored(path, opened):
    runs = opened(path)
    cell = runs.cell("weights", SPEC, {})
    cell.put_record("kept", {"value": 1})
    (pages,) = runs.select("PRAGMA page_count")[0]
    # SQLite reports the cap as it reports a full disk: SQLITE_FULL.
    runs.select(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull):
        cell.put_arrays("lost", {"x": np.random.default_rng(0).random(4096)})
    assert cell.items() == {"kept"}
    assert opened(path).cell("weights", SPEC, {}).record("kept") == {"value": 1}
