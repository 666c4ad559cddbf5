from __future__ import annotations

import math
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import Cancelled, ResultsInvalid, UsageError, WorkerDied
from localkit.evals.comparing.family import Candidate
from localkit.evals.comparing.variant import Variant
from localkit.evals.running.answers import answer_tasks, ask_tasks
from localkit.evals.running.bench import Bench, loaded_as
from localkit.evals.running.scoring import scored_values
from localkit.evals.runs.database import Runs
from localkit.evals.scorers.protocol import Score
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.events import CancelToken, Progress, no_progress
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from localkit.evals.scorers.protocol import Answer, Surroundings

PARAMS = LoadParams(n_ctx=256)
SHORT = SamplingParams(temperature=0, max_tokens=4, seed=10)


@dataclass(frozen=True)
class Says:
    """A scorer: does the target stand in the answer? Raises where it is told to."""

    name: str = "says"
    breaks_at: str = ""
    gives: float | None = None

    def definition(self) -> Mapping[str, Any]:
        return {"breaks_at": self.breaks_at}

    def score(self, sample: Sample, answer: Answer, around: Surroundings) -> Score:
        del around
        if sample.id == self.breaks_at:
            raise KeyError(sample.id)
        found = any(target in answer.text for target in sample.target)
        value = float(found) if self.gives is None else self.gives
        return Score(value=value, extracted=answer.text)


def written(n: int = 4, **changes: Any) -> Task:
    samples = tuple(
        Sample(id=f"s{i}", prompt=f"question {i}", target=(f"a{i}",)) for i in range(n)
    )
    task = Task(
        name="written",
        samples=samples,
        method="generate",
        scorers=(Says(),),
        params=SHORT,
    )
    return replace(task, **changes)


def choices(n: int = 4) -> Task:
    samples = tuple(
        Sample(id=f"c{i}", prompt=f"{i} is", choices=("odd", "even"), gold=i % 2)
        for i in range(n)
    )
    return Task(name="choices", samples=samples)


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    kit = Kit(runtime=FakeRuntime(replies=[f"a{i}" for i in range(100)]))
    kit.store.add(tiny_gguf, "tiny:f16")
    with closing(kit):
        yield kit


@contextmanager
def bench(
    kit: Kit,
    on_progress: Callable[[Progress], None] = no_progress,
    cancel: CancelToken | None = None,
) -> Iterator[Bench]:
    with closing(Runs(kit.settings.runs_db)) as runs:
        yield Bench(kit, runs, on_progress, cancel or CancelToken())


def candidate(kit: Kit, label: str = "F16", **variant: Any) -> Candidate:
    return Candidate(label, kit.resolve("tiny:f16"), Variant(**variant))


def answers(kit: Kit, *tasks: Task, limits: Any = None, **variant: Any) -> Any:
    with bench(kit) as on:
        found = answer_tasks(
            on, [candidate(kit, **variant)], tasks, params=PARAMS, limits=limits
        )
    return {name: by_label["F16"] for name, by_label in found.items()}


def sessions(kit: Kit) -> int:
    return len(kit.runtime.loaded)


def test_each_sample_is_asked_once_and_kept(kit):
    task = written()
    first = answers(kit, task)["written"]
    assert [one.id for one in first] == ["s0", "s1", "s2", "s3"]
    assert [one.answer for one in first] == ["a0", "a1", "a2", "a3"]
    assert all(one.scores["says"].value == 1 for one in first)
    assert first[0].n_prompt > 5
    assert answers(kit, task)["written"] == first
    assert sessions(kit) == 1, "everything was stored: nothing is loaded again"


def test_one_load_serves_all_tasks_of_a_candidate(kit):
    found = answers(kit, choices(), written())
    assert list(found) == ["choices", "written"]
    assert all(len(one.choices) == 2 for one in found["choices"])
    assert sessions(kit) == 1


def test_more_samples_build_on_those_that_are_stored(kit):
    some = answers(kit, written(), limits={"written": 2})["written"]
    everything = answers(kit, written())["written"]
    assert everything[:2] == some
    # The replies of the second session begin anew.
    assert [one.answer for one in everything] == ["a0", "a1", "a0", "a1"]


def test_epochs_count_their_seeds_up(kit):
    task = written(2, epochs=3)
    found = answers(kit, task)["written"]
    assert [(one.id, one.epoch) for one in found] == [
        (f"s{i}", epoch) for i in range(2) for epoch in range(3)
    ]
    seeds = [params.seed for params in kit.runtime.loaded[0].asked]
    assert seeds == [10, 11, 12] * 2
    # Answers a0 to a5 in turn: s0 is right the first time, s1 never.
    assert [one.value for one in scored_values(task, found)] == [1 / 3, 0]
    once = replace(task, reduction="pass@k", k=3)
    assert [one.value for one in scored_values(once, found)] == [1, 0]
    always = replace(task, reduction="pass^k", k=2)
    assert [one.value for one in scored_values(always, found)] == [0, 0]


def test_E2_what_cannot_be_scored_says_why_and_the_run_goes_on(kit):
    long = Sample(id="long", prompt="x" * 300, target=("a",))
    task = written(3, scorers=(Says(breaks_at="s1"),))
    task = replace(task, samples=(*task.samples[:2], long, task.samples[2]))
    found = answers(kit, task)["written"]
    values = [one.value for one in scored_values(task, found)]
    assert values[0] == 1
    assert math.isnan(values[1])
    assert math.isnan(values[2])
    assert "scorer says failed: KeyError: 's1'" in scored_values(task, found)[1].why
    assert found[1].answer == "a1", "the answer is kept"
    assert "n_ctx is 256" in scored_values(task, found)[2].why
    assert found[3].answer == "a2"


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_E2_a_score_that_is_no_number_is_unscored(kit, number):
    found = answers(kit, written(1, scorers=(Says(gives=number),)))["written"]
    assert found[0].scores["says"].value is None
    assert str(number) in found[0].scores["says"].why


class Dying(FakeRuntime):
    """Dies at the sampling of some answers, counted over all loads."""

    def __init__(self, *at: int) -> None:
        super().__init__(replies=["a"] * 9, before_token=self.token)
        self.at, self.answers = at, -1

    def token(self, index: int) -> None:
        if index == 0:
            self.answers += 1
            if self.answers in self.at:
                msg = "the child was killed"
                raise WorkerDied(msg)


def dying(gguf: Path, *at: int) -> Kit:
    kit = Kit(runtime=Dying(*at))
    kit.store.add(gguf, "tiny:f16")
    return kit


def test_E1_a_model_that_dies_is_loaded_again_once(tiny_gguf):
    with closing(dying(tiny_gguf, 1)) as kit:
        found = answers(kit, written())["written"]
        assert [one.unscored for one in found] == [None] * 4
        assert sessions(kit) == 2


def test_E1_a_sample_at_which_it_dies_twice_is_left_out_and_asked_again(tiny_gguf):
    with closing(dying(tiny_gguf, 1, 2)) as kit:
        found = answers(kit, written())["written"]
        assert [one.unscored for one in found] == [
            None,
            "the child was killed",
            None,
            None,
        ]
        again = answers(kit, written())["written"]
        assert [one.unscored for one in again] == [None] * 4


def test_E1_a_model_that_keeps_dying_is_given_up(tiny_gguf):
    with closing(dying(tiny_gguf, *range(1, 100))) as kit:
        found = answers(kit, written(20))["written"]
        assert [one.unscored is None for one in found] == [True] + [False] * 19
        assert "not asked: the model failed before" in found[-1].unscored
        assert sessions(kit) < 6


def test_E1_stopping_keeps_what_is_done(kit):
    stop = CancelToken()

    def at_two(progress: Progress) -> None:
        if progress.done == 2:
            stop.cancel()

    with bench(kit, at_two, stop) as on, pytest.raises(Cancelled):
        answer_tasks(on, [candidate(kit)], [written()], params=PARAMS)
    n_asked = len(kit.runtime.loaded[0].asked)
    found = answers(kit, written())["written"]
    assert [one.answer for one in found] == ["a0", "a1", "a0", "a1"]
    assert len(kit.runtime.loaded[1].asked) == 4 - n_asked


def test_variants_are_cells_of_their_own(kit):
    variants: list[dict[str, Any]] = [
        {},
        {"system": "Be brief."},
        {"prompt": "{q}?"},
        {"params": SamplingParams(temperature=0, max_tokens=2, seed=0)},
        {"template": "{% for m in messages %}{{ m.content }}{% endfor %}"},
        {"kv_type": "q8_0"},
    ]
    task = written(1)
    task = replace(task, samples=(replace(task.samples[0], fields={"q": "why"}),))
    seen = [answers(kit, task, **variant)["written"][0] for variant in variants]
    assert seen[1].n_prompt > seen[0].n_prompt > seen[2].n_prompt > seen[4].n_prompt
    assert seen[3].n_generated == 2
    asked = sum(len(session.asked) for session in kit.runtime.loaded)
    assert asked == len(variants)
    assert {session.fingerprint.kv_type for session in kit.runtime.loaded} == {
        "f16",
        "q8_0",
    }


def test_a_variant_leaves_what_it_does_not_name():
    params = LoadParams(kv_type="q8_0", n_gpu_layers=3, n_ctx=512)
    assert loaded_as(params, Variant()) == params
    changed = loaded_as(params, Variant(kv_type="q4_0", flash_attn=True))
    assert (changed.kv_type, changed.flash_attn) == ("q4_0", True)
    assert (changed.n_gpu_layers, changed.n_ctx) == (3, 512)


def test_E1_a_damaged_answer_is_named(kit):
    answers(kit, written())
    with bench(kit) as on:
        with on.runs.transaction() as db:
            db.execute("UPDATE samples SET value = '{}' WHERE item = 's2'")
        with pytest.raises(ResultsInvalid, match="sample 's2'"):
            answer_tasks(on, [candidate(kit)], [written()], params=PARAMS)


def test_two_of_one_name_are_refused(kit):
    with bench(kit) as on:
        one = candidate(kit)
        with pytest.raises(UsageError, match="two candidates are called 'F16'"):
            ask_tasks(on, [one, one], [written()], params=PARAMS)
        with pytest.raises(UsageError, match="two tasks are called 'written'"):
            ask_tasks(on, [one], [written(), written()], params=PARAMS)


def test_progress_begins_with_what_is_stored(kit):
    answers(kit, written(), limits={"written": 3})
    seen: list[Progress] = []
    with bench(kit, seen.append) as on:
        answer_tasks(on, [candidate(kit)], [written()], params=PARAMS)
    done = [one.done for one in seen if one.step == "written"]
    assert done == [3, 4]
