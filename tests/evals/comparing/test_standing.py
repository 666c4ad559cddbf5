"""What is known of a comparison while it is measured."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

from localkit.errors import LoadFailed
from localkit.evals.comparing import compare as compare_module
from localkit.evals.comparing import standing as standing_module
from localkit.evals.comparing.standing import Pending, Standing, Watcher
from localkit.evals.running.watch import MEMORY, SPEED, TEXT, task_part
from tests.evals.comparing.test_compare import TASK, measured, probed
from tests.evals.tiny_family import tiny_kit
from tests.widgets.comparison.family import scripted

__all__ = ["probed"]

LETTERS = task_part(TASK.name)


@pytest.fixture
def often(monkeypatch):
    """Tell at every step, whatever the clock says."""
    for name in ("_SOONEST_S", "_SHARE", "_COST", "_QUIET_S"):
        monkeypatch.setattr(standing_module, name, 0)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Return a comparison, and how it stood at every step."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_SOONEST_S", "_SHARE", "_COST", "_QUIET_S"):
            patch.setattr(standing_module, name, 0)
        with scripted(tmp_path_factory.mktemp("family")) as kit:
            return watched(kit)


def watched(kit, **changes):
    """Return the comparison, and how it stood on the way."""
    seen: list[Standing] = []
    return measured(kit, on_rows=seen.append, **changes), seen


def of(standing: Standing, label: str):
    return next(row for row in standing.rows if row.label == label)


def test_all_of_it_waits_at_first(told):
    _, seen = told
    first = seen[0]
    labels = {"F16", "Q8_0", "Q4_0", "Q2_K"}
    assert {row.label for row in first.rows} == labels
    parts = {MEMORY, TEXT, SPEED, LETTERS}
    assert set(first.pending) == {(label, part) for label in labels for part in parts}
    assert set(first.pending.values()) == {Pending()}
    assert all(row.quality is None and row.speed is None for row in first.rows)


def test_a_figure_that_is_not_pending_is_the_final_one(told):
    comparison, seen = told
    final = {row.label: row for row in comparison.rows}
    for now in seen:
        for row in now.rows:
            waits = {part for label, part in now.pending if label == row.label}
            end = final[row.label]
            assert row.max_ctx == end.max_ctx
            if MEMORY not in waits:
                assert row.memory == end.memory
            assert row.quality == (None if TEXT in waits else end.quality)
            if LETTERS not in waits:
                (task,), (whole,) = row.tasks, end.tasks
                assert (task.score, task.difference) == (whole.score, whole.difference)
            assert row.speed == (None if SPEED in waits else end.speed)
            if row.excluded is not None:
                assert row.excluded == end.excluded
    assert seen[-1].pending == {}
    assert {row.label for row in seen[-1].rows if row.excluded} == {
        row.label for row in comparison.rows if row.excluded
    }


def test_what_is_at_hand_counts_up(told):
    _, seen = told
    for part, total in ((TEXT, 4), (LETTERS, 10), (SPEED, 3)):
        states = [now.pending.get(("Q4_0", part)) for now in seen]
        running = [one for one in states if one is not None and one.running]
        assert {one.total for one in running} == {total}, part
        dones = [one.done for one in running]
        assert dones == sorted(dones), part
        assert dones[-1] >= total - 1, part


def test_a_score_so_far_is_of_the_answers_so_far(told):
    _, seen = told
    half = next(
        now
        for now in seen
        if (found := now.pending.get(("Q4_0", LETTERS))) and found.done == 5
    )
    (task,) = of(half, "Q4_0").tasks
    assert task.n_items in (5, 6)
    assert of(half, "Q8_0").tasks == ()


@pytest.mark.usefixtures("often")
def test_with_a_precision_no_score_is_final_before_all_are(tmp_path, probed):
    comparison, seen = watched(tiny_kit(tmp_path), precision=0.2)
    for now in seen:
        for row in now.rows:
            if row.tasks and (row.label, LETTERS) not in now.pending:
                end = next(one for one in comparison.rows if one.label == row.label)
                assert row.tasks == end.tasks


def test_what_cannot_be_loaded_says_why_and_waits_for_nothing(tmp_path, probed):
    probed["Q4_0"] = LoadFailed("an architecture nobody knows")
    _, seen = watched(tiny_kit(tmp_path))
    assert {part for label, part in seen[-1].pending if label == "Q4_0"} == set()
    row = of(seen[-1], "Q4_0")
    assert row.excluded is not None
    assert "nobody knows" in row.excluded.text


def test_rows_are_put_together_at_growing_distances(tmp_path, probed, monkeypatch):
    now, seen = [0.0], []
    clocked = partial(Watcher, clock=lambda: now[0])
    monkeypatch.setattr(compare_module, "Watcher", clocked)

    def a_minute_passes(_: object) -> None:
        now[0] += 60

    measured(
        tiny_kit(tmp_path),
        on_progress=a_minute_passes,
        on_rows=lambda _: seen.append(now[0]),
    )
    assert now[0] > 60 * 60
    distances = [b - a for a, b in pairwise(seen) if a > 60 * 60]
    assert min(distances[:-1]) >= 120  # the last one says that all is known


def test_nobody_is_told_who_does_not_ask(tmp_path, probed):
    kit = tiny_kit(tmp_path)
    first, seen = watched(kit, budget="1GiB")
    again = measured(kit, budget="1GiB")
    assert seen
    assert first == again
    assert first.as_dict()["rows"] == again.as_dict()["rows"]
    assert "samples" not in first.as_dict()
