from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from localkit.errors import DatasetInvalid
from localkit.evals.tasks import parquet
from localkit.evals.tasks.catalog import load_task
from localkit.evals.tasks.datasets import read_rows
from localkit.evals.tasks.hub import read_hub
from localkit.evals.tasks.task import task_from_data

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"prompt": "2+2?", "expected": [4, 5]}, {"prompt": "3+3?", "expected": [6]}]


def test_parquet_gives_the_rows_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    pd.DataFrame(ROWS).to_parquet(path)
    assert read_rows(path) == ROWS
    task = load_task(path)
    assert [sample.target for sample in task.samples] == [("4", "5"), ("6",)]
    same = task_from_data("d", ROWS, prompt="{prompt}", target="expected")
    assert task.digest == same.digest


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 64 + b"PAR1"])
def test_E5_bytes_that_are_no_parquet_are_refused(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(content)
    with pytest.raises(DatasetInvalid) as caught:
        read_rows(path)
    assert "\n" not in caught.value.one_line()


def test_E5_a_small_file_does_not_unpack_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.parquet"
    pd.DataFrame({"prompt": ["x" * 10_000] * 2000}).to_parquet(path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(parquet, "MAX_BYTES", 1 << 20)
    with pytest.raises(DatasetInvalid, match="unpacks to more than 1 MiB"):
        read_rows(path)


def test_a_data_set_is_read_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "owner" / "sums"
    folder.mkdir(parents=True)
    lines = [{"q": f"{n}+{n}?", "a": 2 * n} for n in range(4)]
    for split in ("train", "test"):
        text = "\n".join(json.dumps({**line, "of": split}) for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "task.toml").write_text(
        'name = "sums"\nkind = "generate"\ndataset = "owner/sums"\nsplit = "test"\n'
        'fewshot_split = "train"\nprompt = "{q} ({of})"\ntarget = "a"\nfewshot = 1\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    task = load_task(tmp_path)
    assert task.samples[1].prompt == "1+1? (test)"
    assert task.examples[0][:2] == ("0+0? (train)", "0")
    with pytest.raises(DatasetInvalid, match="'owner/sums' could not be loaded"):
        read_hub("owner/sums", split="validation")


def test_a_data_set_that_cannot_be_reached_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetInvalid, match="'nobody/nothing' could not") as caught:
        read_hub("nobody/nothing", split="test")
    assert "load it once" in caught.value.hint


def test_E5_a_data_set_of_pickles_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "owner" / "pickles"
    folder.mkdir(parents=True)
    pd.DataFrame(ROWS).to_pickle(folder / "test.pkl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    with pytest.raises(DatasetInvalid, match="'owner/pickles'"):
        read_hub("owner/pickles", split="test")
