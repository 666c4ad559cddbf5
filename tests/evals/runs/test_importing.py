"""Runs of other tools, and files that pretend to be some."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DatasetInvalid, NotComparable, UsageError
from localkit.evals.runs import lm_eval_samples, zipped
from localkit.evals.runs.database import Runs
from localkit.evals.runs.diff import diff_runs
from localkit.evals.runs.importing import import_runs
from localkit.evals.runs.listing import read_runs
from tests.evals.runs import logs
from tests.evals.runs.logs import (
    inspect_summary,
    lm_eval_line,
    write_inspect,
    write_lm_eval,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def lines(values: str, **changes: str) -> list[dict[str, object]]:
    return [
        lm_eval_line(i, acc=float(value), acc_norm=1.0, best=1 - int(value), **changes)
        for i, value in enumerate(values)
    ]


def test_samples_of_lm_eval_become_a_run(path, tmp_path):
    file = write_lm_eval(tmp_path, lines("1101"), model="org/model")
    evaluation = import_runs(path, [file])
    (part,) = evaluation.run.parts
    assert (part.label, part.task.name, part.task.metric) == (
        "org/model",
        "quiz",
        "acc",
    )
    assert evaluation["quiz"].value == 0.75
    frame = evaluation.to_frame()
    assert frame["answer"].tolist() == ["yes", "yes", "no", "yes"]
    assert frame["score_acc_norm"].tolist() == [1, 1, 1, 1]
    assert import_runs(path, [file]).id == evaluation.id
    assert len(read_runs(path)) == 1


def test_a_metric_and_a_name_may_be_chosen(path, tmp_path):
    file = write_lm_eval(tmp_path, lines("10"), model="m")
    evaluation = import_runs(path, [file], metric="acc_norm", model="mine")
    assert evaluation["mine"].value == 1
    assert evaluation.run.parts[0].task.metric == "acc_norm"
    with pytest.raises(DatasetInvalid, match="has no metric 'f1'"):
        import_runs(path, [file], metric="f1")


def test_imported_runs_are_compared_with_paired_statistics(path, tmp_path):
    a = write_lm_eval(tmp_path, lines("1111111100"), model="big")
    b = write_lm_eval(tmp_path, lines("0000000100"), model="small")
    first, second = import_runs(path, [a]).id, import_runs(path, [b]).id
    found = diff_runs(path, first, second)
    assert found.tasks[0].paired.n_lost == 7
    assert found.flips[0].answer_before == "yes"
    assert found.flips[0].answer_after == "no"


def test_E2_imported_runs_of_other_questions_are_refused(path, tmp_path):
    a = write_lm_eval(tmp_path / "a", lines("11"), model="m")
    b = write_lm_eval(tmp_path / "b", lines("11", changed="!"), model="m")
    c = write_lm_eval(tmp_path / "c", lines("110"), model="m")
    ids = [import_runs(path, [file]).id for file in (a, b, c)]
    with pytest.raises(NotComparable, match="2 samples differ"):
        diff_runs(path, ids[0], ids[1])
    with pytest.raises(NotComparable, match="2 of them the same"):
        diff_runs(path, ids[0], ids[2])
    assert diff_runs(path, ids[0], ids[2], shared=True).tasks[0].paired.n_items == 2


def test_one_filter_is_taken_and_the_others_are_named(path, tmp_path):
    both = [
        *({**line, "filter": "strict"} for line in lines("00")),
        *({**line, "filter": "flexible"} for line in lines("11")),
    ]
    file = write_lm_eval(tmp_path, both, model="m")
    evaluation = import_runs(path, [file])
    assert evaluation["quiz"].value == 0
    assert "filtered by 'flexible' are left out" in str(evaluation)
    assert import_runs(path, [file], metric="acc,flexible")["quiz"].value == 1


def test_several_files_are_one_run(path, tmp_path):
    files = [
        write_lm_eval(tmp_path, lines("11"), model="m", task=task)
        for task in ("one", "two")
    ]
    assert import_runs(path, files).run.tasks == ("one", "two")
    with pytest.raises(UsageError, match="2 of the files are of m in one"):
        import_runs(path, [files[0], files[0]])


def test_E2_values_that_are_no_numbers_are_unscored(path, tmp_path):
    values = [[-1.5, 3], math.nan, "what", None, 10**400, True]
    given = [lm_eval_line(i, acc=value) for i, value in enumerate(values)]
    evaluation = import_runs(path, [write_lm_eval(tmp_path, given, model="m")])
    assert (evaluation["m"].n_scored, evaluation["m"].n_unscored) == (1, 5)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("not json", "line 1 is not JSON"),
        ("[1]", "line 1 is no sample"),
        ('{"x": 1}', "line 1 is no sample"),
        ("[" * 100_000, "line 1 is not JSON"),
        ("", "holds no samples"),
        ('{"doc_id": 1, "acc": 1}\n{"doc_id": 1, "acc": 0}', "has sample '1' twice"),
    ],
)
def test_E5_hostile_samples_are_refused_whole(path, tmp_path, text, match):
    file = tmp_path / "samples_x.jsonl"
    file.write_text(text)
    with pytest.raises(DatasetInvalid, match=match):
        import_runs(path, [file])
    assert read_runs(path) == []
    with closing(Runs(path)) as runs:
        assert runs.select("SELECT COUNT(*) FROM samples") == [(0,)]


def test_E5_a_line_without_end_is_not_read(path, tmp_path, monkeypatch):
    monkeypatch.setattr(lm_eval_samples, "MAX_LINE_BYTES", 1000)
    file = tmp_path / "samples_x.jsonl"
    file.write_text('{"doc_id": 1, "acc": 1, "x": "' + "x" * 2000)
    with pytest.raises(DatasetInvalid, match="line 1 is longer than"):
        import_runs(path, [file])


def test_a_file_of_another_kind_is_refused(path, tmp_path):
    for name in ("results.json", "log.pkl", "x"):
        with pytest.raises(UsageError, match="no kind that can be imported"):
            import_runs(path, [tmp_path / name])
    with pytest.raises(UsageError, match="there is no file"):
        import_runs(path, [tmp_path / "log.eval"])
    with pytest.raises(UsageError, match="no file to import"):
        import_runs(path, [])


def test_a_log_of_inspect_becomes_a_run(path, tmp_path):
    summaries = [
        inspect_summary(i, includes=value, match=1.0) for i, value in enumerate("CIPC")
    ]
    file = write_inspect(tmp_path / "log.eval", summaries)
    evaluation = import_runs(path, [file])
    assert evaluation["mockllm/model", "quiz"].value == 0.625
    frame = evaluation.to_frame()
    assert frame["score"].tolist() == [1, 0, 0.5, 1]
    assert frame["score_match"].tolist() == [1, 1, 1, 1]
    assert set(frame["answer"]) == {"yes"}
    assert import_runs(path, [file], metric="match")["quiz"].value == 1


def test_epochs_of_inspect_are_reduced_as_there(path, tmp_path):
    summaries = [
        inspect_summary(i, epoch, includes="C" if epoch == i else "I")
        for i in range(1, 4)
        for epoch in (1, 2)
    ]
    mean = write_inspect(tmp_path / "mean.eval", summaries)
    assert import_runs(path, [mean])["quiz"].value == pytest.approx(1 / 3)
    best = write_inspect(tmp_path / "best.eval", summaries, reducers=["pass_at_2"])
    evaluation = import_runs(path, [best])
    assert evaluation.run.parts[0].task.metric == "pass@2"
    assert evaluation["quiz"].value == pytest.approx(2 / 3)


def test_a_log_that_was_not_ended_is_read_from_its_journal(path, tmp_path):
    file = tmp_path / "log.eval"
    spec = {"eval": {"task": "quiz", "model": "m"}}
    early = [inspect_summary(0, includes="I"), inspect_summary(1, includes="C")]
    files = {
        "_journal/start.json": spec,
        "_journal/summaries/1.json": early,
        "_journal/summaries/2.json": [inspect_summary(0, includes="C")],
    }
    packed = {name: json.dumps(value).encode() for name, value in files.items()}
    file.write_bytes(logs.zipped(packed))
    evaluation = import_runs(path, [file])
    assert evaluation["quiz"].value == 1
    assert "the log ended as 'without saying so'" in str(evaluation)


def test_a_sample_that_failed_is_unscored(path, tmp_path):
    failed = inspect_summary(1, includes="I") | {"error": "Connection\nError"}
    summaries = [inspect_summary(0, includes="C"), failed]
    evaluation = import_runs(path, [write_inspect(tmp_path / "a.eval", summaries)])
    assert (evaluation["quiz"].n_scored, evaluation["quiz"].n_unscored) == (1, 1)
    assert "failed: Connection Error" in evaluation.to_frame()["unscored"].tolist()


def test_logs_of_older_inspect_packed_by_deflate_are_read(path, tmp_path):
    file = tmp_path / "old.eval"
    spec = {"status": "success", "eval": {"task": "quiz", "model": "m"}}
    summaries = [inspect_summary(0, includes="C")]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("header.json", json.dumps(spec))
        log.writestr("summaries.json", json.dumps(summaries))
    assert import_runs(path, [file])["quiz"].value == 1


def bomb(size: int) -> bytes:
    return b"[" + b" " * size + b"]"


@pytest.mark.parametrize("claimed", [None, 10])
def test_E5_a_zip_bomb_is_refused(path, tmp_path, monkeypatch, claimed):
    monkeypatch.setattr(zipped, "MAX_FILE_BYTES", 1 << 20)
    header = json.dumps({"eval": {"task": "t", "model": "m"}}).encode()
    files = {"header.json": header, "summaries.json": bomb(100 << 20)}
    file = tmp_path / "bomb.eval"
    file.write_bytes(logs.zipped(files, claimed=claimed))
    assert file.stat().st_size < 20_000
    with pytest.raises(DatasetInvalid, match="unpacks to more than 1 MiB"):
        import_runs(path, [file])


def test_E5_many_files_together_are_bounded(path, tmp_path, monkeypatch):
    monkeypatch.setattr(zipped, "MAX_TOTAL_BYTES", 1 << 20)
    header = json.dumps({"eval": {"task": "t", "model": "m"}}).encode()
    files = {"header.json": header} | {
        f"_journal/summaries/{i}.json": bomb(300_000) for i in range(9)
    }
    file = tmp_path / "bomb.eval"
    file.write_bytes(logs.zipped(files))
    with pytest.raises(DatasetInvalid, match="unpacks to more than"):
        import_runs(path, [file])


def test_E5_a_damaged_zip_is_refused(path, tmp_path):
    whole = write_inspect(
        tmp_path / "log.eval", [inspect_summary(i, includes="C") for i in range(50)]
    ).read_bytes()
    file = tmp_path / "damaged.eval"
    at = whole.index(b"summaries.json") + len("summaries.json") + 30
    flipped = bytearray(whole)
    flipped[at : at + 8] = bytes(8)
    directory = bytearray(whole)
    directory[-10:-6] = struct.pack("<L", 1 << 30)
    for content in (b"", b"PK", whole[: len(whole) // 2], flipped, directory):
        file.write_bytes(bytes(content))
        with pytest.raises(DatasetInvalid, match=r"damaged\.eval"):
            import_runs(path, [file])


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"header.json": b"[]"}, "names no task and model"),
        ({"header.json": b'{"eval": 1}'}, "names no task and model"),
        ({"header.json": b"\xff"}, "is damaged at header.json"),
        ({"summaries.json": b"{}"}, "summaries that are no list"),
        ({"summaries.json": b"[1]"}, "a summary that is of no sample"),
        ({"summaries.json": b'[{"id": 1, "epoch": -1}]'}, "in epoch -1"),
        (
            {"summaries.json": b'[{"id": 1, "epoch": 1, "scores": {"x": 1}}]'},
            "a score 'x' that is none",
        ),
        ({"summaries.json": b"[" * 100_000}, "nests too deep"),
    ],
)
def test_E5_a_log_that_does_not_hold_what_it_must_is_refused(
    path, tmp_path, files, match
):
    file = write_inspect(tmp_path / "log.eval", [], files=files)
    with pytest.raises(DatasetInvalid, match=match):
        import_runs(path, [file])


def test_without_zstandard_the_way_out_is_named(path, tmp_path, monkeypatch):
    file = write_inspect(tmp_path / "log.eval", [inspect_summary(0, includes="C")])
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(UsageError, match="zstandard") as caught:
        import_runs(path, [file])
    assert "pip install zstandard" in caught.value.hint
