from __future__ import annotations

import pickle
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from localkit.errors import WorkerDied
from localkit.kit import Kit
from localkit.runtime.params import SamplingParams
from localkit.runtime.pool.finished import MOST, Requests
from tests.runtime.pools import Bench, close_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.pool.pooled import PooledSession

SECRET = "what was asked"
PARAMS = SamplingParams(temperature=0, max_tokens=8)


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()
    close_all()


@pytest.fixture
def session(bench: Bench) -> PooledSession:
    return bench.open("one")


def test_every_answer_leaves_its_counts_and_times(
    bench: Bench, session: PooledSession
) -> None:
    prompt = session.tokenize(SECRET)
    generation = session.stream(prompt, PARAMS).wait()
    list(session.stream(prompt, PARAMS))
    latest = bench.pool.requests.latest()
    assert [one.model for one in latest] == ["one", "one"]
    assert latest[0].n_prompt == len(prompt)
    assert latest[1].n_generated == len(generation.tokens)
    assert latest[0].finish_reason == generation.finish_reason
    assert latest[0].ended >= latest[1].ended


def test_no_text_is_kept(bench: Bench, session: PooledSession) -> None:
    session.stream(session.tokenize(SECRET), PARAMS).wait()
    assert SECRET.encode() not in pickle.dumps(bench.pool.requests.latest())


def test_an_answer_left_early_was_interrupted(
    bench: Bench, session: PooledSession
) -> None:
    stream = iter(session.stream(session.tokenize(SECRET), PARAMS))
    next(stream)
    assert bench.pool.requests.latest() == []
    stream.close()  # type: ignore[attr-defined]
    [one] = bench.pool.requests.latest()
    assert one.finish_reason == "interrupted"


def test_an_answer_that_failed_says_so(bench: Bench, session: PooledSession) -> None:
    def fail(_: int) -> None:
        raise WorkerDied("the worker died")

    bench.runtime.before_token = fail
    stream = session.stream(session.tokenize(SECRET), PARAMS)
    with pytest.raises(WorkerDied):
        stream.wait()
    [one] = bench.pool.requests.latest()
    assert one.finish_reason == "error"


def test_an_answer_read_twice_counts_once(bench: Bench, session: PooledSession) -> None:
    stream = session.stream(session.tokenize(SECRET), PARAMS)
    list(stream)
    list(stream)
    stream.wait()
    assert len(bench.pool.requests.latest()) == 1


def test_old_requests_are_forgotten(session: PooledSession) -> None:
    generation = session.stream(session.tokenize(SECRET), PARAMS).wait()
    requests = Requests()
    for index in range(MOST + 50):
        requests.note(str(index), generation)
    latest = requests.latest()
    assert len(latest) == MOST
    assert latest[0].model == str(MOST + 49)
    assert requests.n_ended == MOST + 50


def test_a_kit_without_loads_has_had_no_requests() -> None:
    with closing(Kit()) as kit:
        assert kit.requests() == []


@pytest.mark.model
def test_the_engine_says_what_it_reads_and_what_its_cells_hold(
    smollm2_gguf: Path,
) -> None:
    with closing(Kit()) as kit:
        kit.store.add(smollm2_gguf, "smol:q4_1")
        model = kit.load("smol:q4_1")
        prompt = "One two three four five six seven eight. " * 8
        result = model.generate(prompt, max_tokens=6, temperature=0)
        [line] = kit.ps()
        assert line.activity is not None
        n_tokens = result.usage.n_prompt + result.usage.n_generated
        assert n_tokens - 2 <= line.activity.n_cells <= n_tokens
        assert line.activity.prefill_per_s > line.activity.decode_per_s > 0
        model.generate(prompt + "And nine.", max_tokens=2, temperature=0)
        [line] = kit.ps()
        assert line.activity is not None
        assert line.activity.n_cells < 2 * n_tokens  # the prefix is shared or reused
        requests = kit.requests()
        assert requests[0].n_reused > 0
        assert requests[1].n_prompt == result.usage.n_prompt
        assert requests[1].ttft_s == pytest.approx(result.timings.ttft_s)
