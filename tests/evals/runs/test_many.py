"""A hundred thousand samples: memory stays flat, and going on takes no time."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest

from localkit.evals.running.evaluate import evaluate
from localkit.evals.runs.database import Runs
from localkit.evals.runs.evaluation import read_evaluation
from localkit.evals.runs.listing import read_runs
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.events import Progress

MIB = 1 << 20


def choices(n: int) -> Task:
    samples = tuple(
        Sample(id=f"s{i}", prompt=f"{i} is", choices=("odd", "even"), gold=i % 2)
        for i in range(n)
    )
    return Task(name="parity", samples=samples)


@pytest.mark.parametrize(
    "n_samples", [4_000, pytest.param(100_000, marks=pytest.mark.thorough)]
)
def test_many_samples_take_no_memory_and_no_time_to_go_on(tiny_gguf: Path, n_samples):
    task, process = choices(n_samples), psutil.Process()
    with closing(Kit(runtime=FakeRuntime())) as kit:
        kit.store.add(tiny_gguf, "tiny:f16")
        path = kit.settings.runs_db
        evaluate("tiny:f16", task, limit=20, kit=kit)
        with closing(Runs(path)) as runs:
            ((key,),) = runs.select("SELECT DISTINCT cell FROM parts")
            cell = runs.cell_by_key(key)
            answer = cell.record("s0")
            others = (f"s{i}" for i in range(n_samples - 1))
            cell.put_many((id_, answer | {"id": id_}) for id_ in others)
        seen: list[float] = []
        n_reports = 0

        def first(progress: Progress) -> None:
            nonlocal n_reports
            if progress.unit == "items":
                n_reports += 1
                seen.append(time.process_time())

        before_bytes, began = process.memory_info().rss, time.process_time()
        evaluation = evaluate("tiny:f16", task, kit=kit, on_progress=first)
        # The clock of this process: others have the machine as well.
        assert seen[0] - began < 2
        assert n_reports < 1_100
        assert evaluation["parity"].n_scored == n_samples
        grown = process.memory_info().rss - before_bytes
        assert grown < 50 * MIB + 400 * n_samples
        began = time.process_time()
        assert read_runs(path)[0].id == evaluation.id
        assert read_evaluation(path, evaluation.id).scores == evaluation.scores
        assert evaluate("tiny:f16", task, kit=kit).scores == evaluation.scores
        assert time.process_time() - began < 2
