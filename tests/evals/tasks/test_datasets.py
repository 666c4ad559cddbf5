from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import DatasetInvalid
from localkit.evals.tasks import datasets as data_sets
from localkit.evals.tasks.datasets import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS: list[dict[str, Any]] = [{"q": "one", "a": 1}, {"q": "zwei, „2“", "a": 2}]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_json_lines_keep_their_types_and_skip_blank_lines(tmp_path: Path) -> None:
    content = "\n\n".join(json.dumps(row) for row in ROWS)
    assert read_rows(written(tmp_path / "d.jsonl", content)) == ROWS


def test_csv_is_text_by_field_name(tmp_path: Path) -> None:
    content = '\ufeffq,a\r\n"one, ""quoted""\nand more",1\r\nzwei,2\r\n'
    rows = read_rows(str(written(tmp_path / "d.csv", content)))
    assert [row["q"] for row in rows] == ['one, "quoted"\nand more', "zwei"]
    assert rows[1]["a"] == "2"


def test_tsv_splits_at_tabs(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path / "d.tsv", "q\ta\none\t1\n")) == [
        {"q": "one", "a": "1"}
    ]


def test_objects_in_memory_give_the_same_rows() -> None:
    import datasets
    import pandas as pd

    assert read_rows(ROWS) == ROWS
    assert read_rows(row for row in ROWS) == ROWS
    assert read_rows(pd.DataFrame(ROWS)) == ROWS
    assert read_rows(datasets.Dataset.from_list(ROWS)) == ROWS


def test_several_splits_are_refused_by_name() -> None:
    import datasets

    split = datasets.Dataset.from_list(ROWS)
    several = datasets.DatasetDict({"train": split, "test": split})
    with pytest.raises(DatasetInvalid, match="train, test"):
        read_rows(several)


def test_E2_an_empty_data_set_is_refused(tmp_path: Path) -> None:
    empty: list[dict[str, Any]] = []
    for data in (empty, written(tmp_path / "d.jsonl", "\n"), tmp_path / "none.csv"):
        with pytest.raises(DatasetInvalid):
            read_rows(data)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("line.jsonl", "{"),
        ("list.jsonl", "[1]"),
        ("nan.jsonl", '{"a": NaN}'),
        ("deep.jsonl", "[" * 100_000),
        ("digits.jsonl", '{"a": ' + "9" * 5000 + "}"),
        ("latin.jsonl", b'{"a": "\xe9"}'),
        ("ragged.csv", "q,a\none\n"),
        ("long.csv", "q,a\none,1,2\n"),
        ("quote.csv", 'q,a\n"one"x,1\n'),
        ("nul.csv", b"q,a\n\x00\xff,1\n"),
        ("data.pkl", pickle.dumps(ROWS)),
        ("data.zip", b"PK\x03\x04"),
        ("data", "q,a\n"),
        ("pickled.jsonl", pickle.dumps(ROWS)),
        ("zipped.csv", b"PK\x03\x04\xff\xfe"),
    ],
)
def test_E5_hostile_or_wrong_files_are_refused(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    with pytest.raises(DatasetInvalid) as caught:
        read_rows(written(tmp_path / name, content))
    assert "\n" not in caught.value.one_line()
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_E5_endless_line_is_refused(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_sets, "MAX_LINE_BYTES", 1000)
    path = written(tmp_path / f"d{suffix}", "q\n" + "x" * 2000)
    with pytest.raises(DatasetInvalid):
        read_rows(path)


def test_E5_large_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jsonl"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(DatasetInvalid, match="larger than 1 MiB"):
        data_sets.read_bytes(path, most=1 << 20)


def test_E5_endless_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[dict[str, Any]]:
        while True:
            yield {"q": "again"}

    monkeypatch.setattr(data_sets, "MAX_ROWS", 100)
    with pytest.raises(DatasetInvalid, match="more than 100 rows"):
        read_rows(endless())


def test_E5_a_pipe_is_refused_without_being_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DatasetInvalid, match="no file"):
        read_rows(tmp_path / "pipe.jsonl")


def test_things_without_rows_are_refused() -> None:
    with pytest.raises(DatasetInvalid, match="int has no rows"):
        read_rows(3)  # type: ignore[arg-type]
    with pytest.raises(DatasetInvalid, match="row 1 is a str"):
        read_rows(["text"])  # type: ignore[list-item]
