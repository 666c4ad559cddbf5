"""Answers that are kept as they come, and taken again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from localkit.asking.resume import Answers, answer_keys
from localkit.errors import (
    ResultsInvalid,
)
from localkit.events import CancelToken
from tests.fixtures.asking import GREEDY
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.model import Model
    from localkit.runtime.fake import FakeRuntime

KILLED = """
import sys, time
from pathlib import Path
from tests.fixtures.kits import MODEL, fake_kit
from localkit.runtime.fake import FakeRuntime

def slowly(index):
    time.sleep(0.01)

with fake_kit(Path(sys.argv[1]), runtime=FakeRuntime(before_token=slowly)) as kit:
    rows = [{"text": str(i)} for i in range(500)]
    print("ready", flush=True)
    kit.load(MODEL).map(
        rows, "{text}", resume=sys.argv[2], max_tokens=5, temperature=0
    )
"""


def test_a_resumed_map_asks_only_for_what_is_missing(
    model: Model, runtime: FakeRuntime, tmp_path: Path
) -> None:
    asked = [0]

    def count(index: int) -> None:
        asked[0] += index == 0

    runtime.before_token = count
    file = tmp_path / "answers.db"
    rows = [{"text": text} for text in "abcd"]
    first = model.map(rows[:2], "{text}", params=GREEDY, resume=file)
    assert asked[0] == 2
    whole = model.map(rows, "{text}", params=GREEDY, resume=file)
    assert asked[0] == 4
    assert list(whole["answer"][:2]) == list(first["answer"])
    again = model.map(rows, "{text}", params=GREEDY, resume=str(file))
    assert asked[0] == 4
    pd.testing.assert_frame_equal(again, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"max_tokens": 5},
        {"seed": 1},
        {"system": "Be brief."},
        {"chat": False},
        {"context_shift": True},
    ],
)
def test_an_answer_of_other_params_is_not_taken(
    model: Model, runtime: FakeRuntime, tmp_path: Path, change: dict[str, object]
) -> None:
    asked = [0]

    def count(index: int) -> None:
        asked[0] += index == 0

    runtime.before_token = count
    file = tmp_path / "answers.db"
    model.map([{"text": "a"}], "{text}", params=GREEDY, resume=file)
    model.map([{"text": "a"}], "{text}", params=GREEDY, resume=file, **change)  # type: ignore[arg-type]
    assert asked[0] == 2


def test_equal_rows_are_equal_questions_but_answers_of_their_own() -> None:
    keys = answer_keys(["a", "a", "b"], {"weights": "x"})
    assert len(set(keys)) == 3
    assert answer_keys(["b", "a"], {"weights": "x"}) == [keys[2], keys[0]]
    assert answer_keys(["a"], {"weights": "y"}) != keys[:1]


def test_errors_and_interrupted_rows_are_asked_again(
    model: Model, runtime: FakeRuntime, tmp_path: Path
) -> None:
    file = tmp_path / "answers.db"
    cancel = CancelToken()

    def stop(index: int) -> None:
        if index == 3:
            cancel.cancel()
            time.sleep(0.15)

    runtime.before_token = stop
    rows = [{"text": text} for text in "abcdefghijkl"]
    out = model.map(rows, "{text}", params=GREEDY, resume=file, cancel=cancel)
    assert (out["finish_reason"] == "interrupted").all()
    runtime.before_token = lambda _: None
    out = model.map(rows, "{text}", params=GREEDY, resume=file)
    assert not (out["finish_reason"] == "interrupted").any()


def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    model: Model, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("my notes " * 99)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    for file in (text, foreign, tmp_path):
        before = file.read_bytes() if file.is_file() else b""
        with pytest.raises(ResultsInvalid):
            model.map([{"text": "a"}], "{text}", resume=file)
        assert (file.read_bytes() if file.is_file() else b"") == before


def test_a_damaged_answer_in_the_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    file = tmp_path / "answers.db"
    answers = Answers(file)
    answers.put("k", {"text": "x"})
    answers.close()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE answers SET answer = '{'")
    database.close()
    answers = Answers(file)
    with pytest.raises(ResultsInvalid, match=r"answers\.db"):
        answers.get("k")
    answers.close()


def test_a_killed_kernel_resumes_with_every_answer_it_had(
    model: Model, runtime: FakeRuntime, tiny_gguf: Path, tmp_path: Path
) -> None:
    file = tmp_path / "answers.db"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tiny_gguf), str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "LOCALKIT_HOME": str(tmp_path / "home")},
    )
    try:
        deadline = time.monotonic() + 60
        while n_kept(file) < 20:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.kill()
        child.communicate()
    kept = n_kept(file)
    assert 20 <= kept < 500
    asked = [0]

    def count(index: int) -> None:
        asked[0] += index == 0

    runtime.before_token = count
    rows = [{"text": str(i)} for i in range(500)]
    out = model.map(rows, "{text}", resume=file, max_tokens=5, temperature=0)
    assert asked[0] == 500 - kept
    assert out["answer"].notna().all()


def n_kept(file: Path) -> int:
    if not file.is_file():
        return 0
    database = sqlite3.connect(file)
    try:
        row = database.execute("SELECT count(*) FROM answers").fetchone()
        return int(row[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        database.close()
