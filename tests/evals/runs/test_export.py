from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DiskFull, UsageError
from localkit.evals.runs.database import Runs
from localkit.evals.runs.export import export_run, safe_cell
from localkit.evals.runs.rows import COLUMNS
from tests.evals.runs.made import TASK, make_run

if TYPE_CHECKING:
    from pathlib import Path

TWO = TASK.model_copy(update={"scorers": ("exact", "f1"), "epochs": 2})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def run_of(path: Path, answer: str = "answer") -> str:
    with closing(Runs(path)) as runs:
        values = {"q8": [1, None, 0.5, 0], "q4": [1, 1, 0, 0]}
        return make_run(runs, values, task=TWO, answer=answer)


def test_every_answer_is_a_line_of_json(path, tmp_path):
    file = tmp_path / "out.jsonl"
    assert export_run(path, run_of(path), file) == 8
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert list(rows[0]) == [*COLUMNS, "score_exact", "score_f1"]
    assert [row["score"] for row in rows[:4]] == [1, None, 0.5, 0]
    assert rows[1]["unscored"] == "no idea"
    assert [(row["sample"], row["epoch"]) for row in rows[:3]] == [
        ("s0", 0),
        ("s0", 1),
        ("s1", 0),
    ]
    assert rows[0]["weights_digest"] == "sha256:aaq8"


def test_parquet_keeps_types(path, tmp_path):
    import pandas as pd

    file = tmp_path / "out.parquet"
    assert export_run(path, run_of(path), file) == 8
    frame = pd.read_parquet(file)
    assert list(frame.columns) == [*COLUMNS, "score_exact", "score_f1"]
    assert frame["score"].dtype == "float64"
    assert frame["score"].isna().sum() == 1
    assert frame["epoch"].tolist()[:2] == [0, 1]


def test_E5_no_cell_of_csv_is_computed_by_a_spreadsheet(path, tmp_path):
    file = tmp_path / "out.csv"
    id_ = run_of(path, '=HYPERLINK("http://x", "y")')
    assert export_run(path, id_, file) == 8
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["answer"].startswith("'=HYPERLINK") for row in rows)
    for text in ("=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"):
        assert safe_cell(text) == f"'{text}"
    for value in ("1-1", "'=1", "", -1.5, None, 3):
        assert safe_cell(value) == value


def test_another_ending_is_refused(path, tmp_path):
    with pytest.raises(UsageError, match="no format that runs are exported to"):
        export_run(path, run_of(path), tmp_path / "out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()


def test_without_pyarrow_the_way_out_is_named(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="needs pyarrow") as caught:
        export_run(path, run_of(path), tmp_path / "out.parquet")
    assert "pip install pyarrow" in caught.value.hint


def test_P5_a_full_disk_leaves_the_old_file(path, tmp_path, monkeypatch):
    file = tmp_path / "out.jsonl"
    file.write_text("old")
    id_ = run_of(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("localkit.evals.runs.export.publish", full)
    with pytest.raises(DiskFull):
        export_run(path, id_, file)
    assert file.read_text() == "old"
    assert {one.name for one in tmp_path.iterdir() if one.suffix == ".tmp"} == set()
