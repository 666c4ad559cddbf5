"""Candidates that are not loaded here; and tasks of retrieval."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.evals.running.evaluate import evaluate
from localkit.evals.runs.diff import diff_runs
from localkit.evals.scorers.includes import Includes
from localkit.evals.tasks.kinds import Document
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import SamplingParams
from tests.remote.server import Reply, Server, chat_events, openai_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREEDY = SamplingParams(temperature=0, max_tokens=8, seed=0)
CHAT = "/v1/chat/completions"


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    kit = Kit(runtime=FakeRuntime(replies=["one", "none"] * 9))
    kit.store.add(tiny_gguf, "tiny:f16")
    with closing(kit):
        yield kit


@pytest.fixture
def server() -> Iterator[Server]:
    with openai_server() as server:
        yield server


def written(n: int = 4) -> Task:
    samples = tuple(
        Sample(id=f"s{i}", prompt=f"question {i}", target=("one",)) for i in range(n)
    )
    return Task(
        name="written",
        samples=samples,
        method="generate",
        scorers=(Includes(),),
        params=GREEDY,
    )


def test_a_model_behind_a_url_is_asked_beside_one_that_is_loaded(kit, server):
    address = f"m@{server.url}/v1"
    found = evaluate(["tiny:f16", address], written(), kit=kit)
    here, there = found.run.models
    assert (found[here].value, found[there].value) == (0.5, 1)
    n_asked = len(server.bodies(CHAT))
    assert n_asked == 4
    assert evaluate(["tiny:f16", address], written(), kit=kit).id == found.id
    assert len(server.bodies(CHAT)) == n_asked, "what is stored is not asked again"
    path = kit.settings.runs_db
    paired = (
        diff_runs(path, f"{found.id}/{here}", f"{found.id}/{there}").tasks[0].paired
    )
    assert paired.n_gained == 2


def test_E2_what_a_server_cannot_give_is_unscored_and_not_guessed(kit, server):
    choices = Task("c", (Sample("a", "x", choices=("y", "z"), gold=0),))
    found = evaluate(f"m@{server.url}/v1", choices, kit=kit)
    (summary,) = found.scores.values()
    assert (summary.n_scored, summary.n_unscored, summary.n_missing) == (0, 1, 0)
    assert found.results()[0].unscored


def test_E1_a_server_that_breaks_leaves_a_partial_run_that_goes_on(kit, server):
    n_left = 2

    def breaking(_: object) -> Reply:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            return Reply({"error": {"message": "no more"}}, status=500)
        return Reply(events=chat_events("one"))

    good = server.rules[CHAT]
    server.rules[CHAT] = breaking
    address = f"m@{server.url}/v1"
    broken = evaluate(address, written(), kit=kit)
    (summary,) = broken.scores.values()
    assert broken.run.status == "partial"
    assert (summary.n_scored, summary.n_missing) == (2, 2)
    assert "was given up" in str(broken)
    server.rules[CHAT] = good
    whole = evaluate(address, written(), kit=kit)
    assert (whole.id, whole.run.status, whole.run.remarks) == (broken.id, "done", ())
    assert next(iter(whole.scores.values())).n_scored == 4


def test_retrieval_is_a_task_like_the_others(kit):
    corpus = tuple(Document(f"d{i}", text) for i, text in enumerate("abc"))
    samples = tuple(
        Sample(id=f"q{i}", prompt=text, target=(f"d{i}",))
        for i, text in enumerate("abc")
    )
    task = Task("find", samples, method="retrieve", corpus=corpus)
    found = evaluate("tiny:f16", task, kit=kit)
    assert found.run.parts[0].task.metric == "ndcg@10"
    assert found["find"].value == 1
    assert "score_mrr" in found.to_frame().columns
    n_loads = len(kit.runtime.loaded)
    assert evaluate("tiny:f16", task, kit=kit).scores == found.scores
    assert len(kit.runtime.loaded) == n_loads
