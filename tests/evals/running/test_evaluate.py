from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import localkit
from localkit.errors import Cancelled, UsageError
from localkit.evals.running.evaluate import evaluate
from localkit.evals.runs.listing import read_runs
from localkit.evals.scorers.includes import Includes
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.events import CancelToken, Progress
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import SamplingParams
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = SamplingParams(temperature=0, max_tokens=4, seed=0)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit(runtime=FakeRuntime(replies=["yes", "no", "yes", "no"] * 9))
    for seed, tag in enumerate(("f16", "q8_0")):
        gguf = write_tiny_llama(tmp_path / f"{tag}.gguf", seed=seed)
        kit.store.add(gguf, f"tiny:{tag}")
    with closing(kit):
        yield kit


def quiz(n: int = 4, name: str = "quiz") -> Task:
    samples = tuple(
        Sample(id=f"s{i}", prompt=f"question {i}", target=("yes",)) for i in range(n)
    )
    return Task(
        name=name,
        samples=samples,
        method="generate",
        scorers=(Includes(),),
        params=SHORT,
    )


def test_models_are_asked_and_scored(kit):
    found = evaluate(["tiny:f16", "tiny:q8_0"], quiz(), kit=kit)
    assert found.run.models == ("tiny:f16", "tiny:q8_0")
    assert found["tiny:f16"].value == found["tiny:q8_0", "quiz"].value == 0.5
    assert found["tiny:f16"].method == "Wilson"
    frame = found.to_frame()
    assert len(frame) == 8
    assert frame["answer"].tolist() == ["yes", "no"] * 4
    assert [one.id for one in found.results("tiny:q8_0")] == ["s0", "s1", "s2", "s3"]
    assert found.summary()["n"].tolist() == [4, 4]
    with pytest.raises(KeyError):
        found["quiz"]


def test_it_is_shown_as_a_table_that_needs_no_trust(kit):
    task = quiz()
    found = evaluate("tiny:f16", task, kit=kit)
    data, _ = found._repr_mimebundle_()
    assert "tiny:f16" in data["text/plain"]
    assert "<table" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert f"Run {found.id}, done." in str(found)


def test_the_same_again_loads_nothing_and_is_the_same_run(kit):
    first = evaluate("tiny:f16", quiz(), kit=kit)
    n_loads = len(kit.runtime.loaded)
    second = evaluate("tiny:f16", quiz(), kit=kit)
    assert len(kit.runtime.loaded) == n_loads
    assert (second.id, second.scores) == (first.id, first.scores)
    more = evaluate("tiny:f16", quiz(), limit=2, kit=kit)
    assert len(kit.runtime.loaded) == n_loads
    assert more.id != first.id
    assert len(read_runs(kit.settings.runs_db)) == 2


def test_E1_a_stopped_run_shows_what_it_has_and_goes_on(kit):
    stop = CancelToken()

    def at_three(progress: Progress) -> None:
        if progress.step == "quiz" and progress.done == 3:
            stop.cancel()

    with pytest.raises(Cancelled):
        evaluate("tiny:f16", quiz(), kit=kit, on_progress=at_three, cancel=stop)
    (run,) = read_runs(kit.settings.runs_db)
    assert run.status == "interrupted"
    found = evaluate("tiny:f16", quiz(), kit=kit)
    assert (found.id, found.run.status) == (run.id, "done")
    assert found["quiz"].n_scored == 4


def test_what_makes_no_sense_is_refused_before_a_run_is_made(kit):
    choices = Task("c", (Sample("a", "x", choices=("y", "z"), gold=0),))
    for models, tasks, options in (
        ([], quiz(), {}),
        ("tiny:f16", [], {}),
        ("tiny:f16", quiz(), {"limit": 0}),
        ("tiny:f16", quiz(), {"epochs": 0}),
        ("tiny:f16", choices, {"epochs": 2}),
        (["tiny:f16", "tiny:f16"], quiz(), {}),
        ("tiny:f16", [quiz(), quiz()], {}),
    ):
        with pytest.raises(UsageError):
            evaluate(models, tasks, kit=kit, **options)
    assert read_runs(kit.settings.runs_db) == []


def test_L2_code_of_a_model_is_not_run_unasked(kit):
    from dataclasses import replace

    from localkit.evals.scorers.code import Code

    task = replace(quiz(), scorers=(Code(),))
    with pytest.raises(UsageError, match="not allowed") as caught:
        evaluate("tiny:f16", task, kit=kit)
    assert "allow_code=True" in caught.value.hint


def test_a_table_of_prompts_is_a_task(kit, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("prompt,expected\nSay yes.,yes\nSay no.,no\n")
    found = evaluate("tiny:f16", table, kit=kit)
    assert found["mine"].value == 1
    assert "mine.csv" in str(found), "what was guessed about the file is said"
    assert found.run.command == f"localkit eval tiny:f16 --task {table}"


def test_epochs_may_be_asked_for(kit):
    found = evaluate("tiny:f16", quiz(2), epochs=4, kit=kit)
    assert found["quiz"].value == 0.5
    assert found["quiz"].n_scored == 2
    assert len(found.results()) == 8


def test_it_is_a_public_name():
    assert localkit.evaluate is evaluate
