"""The answers behind a comparison."""

from __future__ import annotations

import math

import pytest

from localkit.errors import UsageError
from localkit.evals.comparing.compare import compare
from localkit.evals.comparing.samples import is_flip
from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import find_run
from localkit.evals.runs.removing import remove_run
from tests.evals.comparing.test_compare import TASK, measured, probed
from tests.evals.tiny_family import tiny_kit
from tests.widgets.comparison.family import TEXT, rows, scripted

__all__ = ["probed"]


def test_choices_are_read_until_their_run_is_removed(tmp_path, probed):
    comparison = measured(tiny_kit(tmp_path))
    samples = comparison.samples
    assert samples is not None
    scores = samples.scores(TASK.name)
    assert scores.labels[0] == "F16"
    assert set(scores.labels) == {row.label for row in comparison.rows}
    for row in comparison.rows:
        assert row.task is not None
        mean = sum(scores.values[row.label]) / len(scores.ids)
        assert mean == pytest.approx(row.task.score.value)
    given = samples.given(TASK.name, 2)
    first = given[0]
    assert first.label == "F16"
    assert len(first.choices) == 3
    best = max(range(3), key=lambda place: first.choices[place].score)
    assert first.answer == TASK.samples[2].choices[best]
    runs = Runs(samples.path)
    assert find_run(runs, samples.run).kind == "compare"
    runs.close()
    remove_run(samples.path, samples.run)
    with pytest.raises(UsageError, match="is no run"):
        samples.scores(TASK.name)


def test_flips_of_the_report_are_flips_of_the_samples(tmp_path):
    with scripted(tmp_path) as kit:
        found = compare("tiny", task=rows(), text=TEXT, effort="quick", kit=kit)
    assert found.samples is not None
    scores = found.samples.scores("own-data")
    flipped = {
        (label, id_)
        for label in scores.labels
        for id_, value, base in zip(
            scores.ids, scores.values[label], scores.values["F16"], strict=True
        )
        if is_flip(value, base)
    }
    assert flipped == {(flip.label, flip.item) for flip in found.flips}
    assert len(flipped) == 9
    assert scores.said["F16"][5] == scores.said["Q8_0"][5] != scores.said["Q4_0"][5]


def test_what_is_unscored_is_no_flip():
    assert is_flip(0, 1)
    assert not is_flip(math.nan, 1)
    assert not is_flip(0.4, 0.6)


def test_a_comparison_that_asks_nothing_has_no_samples(tmp_path, probed):
    assert measured(tiny_kit(tmp_path), task=None).samples is None
