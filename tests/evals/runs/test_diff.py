from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import NotComparable, UsageError
from localkit.evals.runs.database import Runs
from localkit.evals.runs.diff import diff_runs
from tests.evals.runs.made import TASK, make_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def runs(path: Path) -> Iterator[Runs]:
    with closing(Runs(path)) as opened:
        yield opened


def test_two_runs_are_compared_sample_by_sample(path, runs):
    a = make_run(runs, {"q8": [1] * 10 + [0] * 2})
    b = make_run(runs, {"q4": [1] * 2 + [0] * 10})
    found = diff_runs(path, a, b)
    (task,) = found.tasks
    assert (task.model_before, task.model_after) == ("q8", "q4")
    assert task.paired.difference.value == pytest.approx(-8 / 12)
    assert (task.paired.n_lost, task.paired.n_gained) == (8, 0)
    assert task.paired.p_value == pytest.approx(2 / 2**8)
    assert [flip.sample for flip in found.flips] == [f"s{i}" for i in range(2, 10)]
    flip = found.flips[0]
    assert flip.answer_before == "answer of q8 to s2"
    assert flip.answer_after == "answer of q4 to s2"
    text = str(found)
    assert "q8 (before) is better (exact McNemar, p = 0.008, n = 12)" in text
    assert len(found.to_frame()) == 8
    data, _ = found._repr_mimebundle_()
    assert "<table" in data["text/html"]


def test_no_difference_is_said_in_words(path, runs):
    a = make_run(runs, {"q8": [1, 1, 0, 0, 1]})
    b = make_run(runs, {"q4": [1, 1, 0, 0, 0]})
    text = str(diff_runs(path, a, b))
    assert "no difference you could detect" in text
    assert "would take about" in text


def test_two_models_of_one_run_are_compared(path, runs):
    a = make_run(runs, {"q8": [1, 1, 1], "q4": [1, 0, 1], "q2": [0, 0, 1]})
    with pytest.raises(NotComparable, match="several models answered quiz") as caught:
        diff_runs(path, make_run(runs, {"other": [1, 1, 1]}), a)
    assert f"{a}/MODEL" in caught.value.hint
    found = diff_runs(path, f"{a}/q8", f"{a[:6]}/q2")
    assert found.tasks[0].paired.n_lost == 2
    with pytest.raises(UsageError, match="has no model 'q9'"):
        diff_runs(path, f"{a}/q9", a)


def test_models_of_one_label_are_paired(path, runs):
    a = make_run(runs, {"q8": [1, 1], "q4": [1, 0]})
    b = make_run(runs, {"q8": [1, 1], "q4": [1, 1]}, answer="later")
    found = diff_runs(path, a, b)
    assert [one.model_before for one in found.tasks] == ["q8", "q4"]
    assert [one.paired.n_gained for one in found.tasks] == [0, 1]


def test_E3_other_weights_under_one_tag_are_said(path, runs):
    a = make_run(runs, {"q4": [1, 0]}, weights="sha256:1111")
    b = make_run(runs, {"q4": [1, 0]}, weights="sha256:2222")
    text = str(diff_runs(path, a, b))
    assert "q4:tag is not the same model in both runs" in text
    assert "sha256:1111" in text
    assert "sha256:2222" in text


def test_E2_other_questions_are_refused(path, runs):
    a = make_run(runs, {"q4": [1, 0]})
    changed = TASK.model_copy(update={"digest": "d2"})
    b = make_run(runs, {"q4": [1, 0]}, task=changed)
    with pytest.raises(NotComparable, match="asked different questions"):
        diff_runs(path, a, b)
    other = TASK.model_copy(update={"name": "other"})
    c = make_run(runs, {"q4": [1, 0]}, task=other)
    with pytest.raises(NotComparable, match="no task in common"):
        diff_runs(path, a, c)


def test_E2_other_scoring_is_refused(path, runs):
    a = make_run(runs, {"q4": [1, 0]})
    scored = TASK.model_copy(update={"scorers": ("f1",)})
    b = make_run(runs, {"q4": [1, 0]}, task=scored)
    with pytest.raises(NotComparable, match="scored as exact and as f1"):
        diff_runs(path, a, b)


def test_E2_other_samples_are_refused_unless_the_shared_ones_are_asked_for(path, runs):
    a = make_run(runs, {"q8": [1, 0, 1]})
    b = make_run(runs, {"q4": [1, 0, 1, 1, 0]})
    with pytest.raises(NotComparable, match="3 and 5 samples of quiz, 3 of them"):
        diff_runs(path, a, b)
    found = diff_runs(path, a, b, shared=True)
    assert found.tasks[0].paired.n_items == 3
    assert "3 samples that both asked are compared, of 3 and 5" in str(found)


def test_E2_unscored_samples_are_left_out_of_both_and_counted(path, runs):
    a = make_run(runs, {"q8": [1, None, 1, 1]})
    b = make_run(runs, {"q4": [1, 1, None, 0]})
    found = diff_runs(path, a, b)
    assert found.tasks[0].paired.n_items == 2
    assert "2 samples are unscored on a side" in str(found)
    nothing = make_run(runs, {"q2": [None] * 4})
    found = diff_runs(path, a, nothing)
    assert math.isnan(found.tasks[0].paired.difference.value)
    assert "nothing was scored on both sides" in str(found)


def test_epochs_are_put_together_before_they_are_compared(path, runs):
    task = TASK.model_copy(update={"epochs": 2, "reduction": "pass@k", "k": 2})
    a = make_run(runs, {"q8": [1, 0, 0, 0]}, task=task)
    b = make_run(runs, {"q4": [0, 1, 0, 0]}, task=task)
    found = diff_runs(path, a, b)
    assert found.tasks[0].metric == "pass@2"
    assert found.tasks[0].paired.n_items == 2
    assert not found.flips


def test_groups_are_kept(path, runs):
    groups = ("a", "a", "b", "b")
    a = make_run(runs, {"q8": [1, 1, 1, 0]}, groups=groups)
    b = make_run(runs, {"q4": [1, 0, 1, 0]}, groups=groups)
    assert diff_runs(path, a, b).tasks[0].paired.test == "sign flips of groups"
