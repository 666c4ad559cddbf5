"""R2, R13: full contexts and readers that go away leave no trace."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from localkit.events import CancelToken
from localkit.runtime.params import SamplingParams, ServeParams
from tests.faults.requesting import check_tokens, forget, load
from tests.fixtures.gguf import F32, write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "F32.gguf", type_id=F32)


@pytest.fixture(scope="module")
def session(model: Path) -> Iterator[LlamaSession]:
    session = load(model, n_ctx=2048)
    yield session
    session.close()


def test_R13_a_dropped_generator_frees_its_slot_within_a_token(
    session: LlamaSession,
) -> None:
    for _ in range(20):
        iterator = iter(session.stream([5, 6, 7], SamplingParams(seed=1)))
        next(iterator)
        start = time.monotonic()
        del iterator
        gc.collect()
        assert time.monotonic() - start < 5
        assert session.activity.n_busy == 0
    n_computed = session.activity.n_computed
    time.sleep(0.2)
    assert session.activity.n_computed == n_computed


def test_R13_a_stream_that_was_started_and_dropped_stops(
    session: LlamaSession,
) -> None:
    for _ in range(20):
        session.stream([5, 6, 7], SamplingParams(seed=1)).start()
    gc.collect()
    deadline = time.monotonic() + 5
    while session.activity.n_busy or session.activity.n_queued:
        assert time.monotonic() < deadline, session.activity
        time.sleep(0.01)


def test_R13_a_stream_that_is_only_waited_for_is_not_dropped(
    session: LlamaSession,
) -> None:
    params = SamplingParams(temperature=0, max_tokens=40)
    iterator = iter(session.stream([5, 6, 7], params))
    gc.collect()
    assert len(list(iterator)) == 40
    assert session.stream([5, 6, 7], params).wait().usage.n_generated == 40


def test_R13_dropping_a_finished_stream_leaves_its_cancel_token_alone(
    session: LlamaSession,
) -> None:
    cancel = CancelToken()
    params = SamplingParams(temperature=0, max_tokens=3)
    session.stream([5, 6, 7], params, cancel=cancel).wait()
    list(session.stream([5, 6, 7], params, cancel=cancel))
    gc.collect()
    assert not cancel.cancelled


def test_R2_a_full_context_ends_with_length_and_leaves_no_trace(model: Path) -> None:
    exact = ServeParams(exact=True)
    session = load(model, n_ctx=256)
    prompt = list(range(5, 205))
    question = SamplingParams(temperature=0, max_tokens=12)
    fresh = load(model, n_ctx=256)
    for first in (10, 60, 150, 200):
        full = session.stream(prompt, SamplingParams(temperature=0)).wait()
        assert full.finish_reason == "length"
        assert full.usage.n_prompt + full.usage.n_generated == 256
        after = session.stream(prompt[:first], question, serve=exact).wait()
        forget(fresh)
        alone = fresh.stream(prompt[:first], question, serve=exact).wait()
        assert after.tokens == alone.tokens
        assert after.notes == ()
    fresh.close()
    session.close()


def test_R2_two_answers_that_fill_the_context_both_end_whole(model: Path) -> None:
    session = load(model, n_ctx=256)
    prompts = [[n] * 20 for n in (5, 6, 7)]
    streams = [session.stream(one, SamplingParams(temperature=0)) for one in prompts]
    for stream in streams:
        stream.start()
    for prompt, stream in zip(prompts, streams, strict=True):
        generation = stream.wait()
        assert generation.finish_reason in ("length", "stop")
        check_tokens(session, prompt, generation.tokens[:200])
    session.close()


def test_R2_context_shift_goes_on_beyond_the_context_and_says_so(model: Path) -> None:
    session = load(model, n_ctx=256)
    params = SamplingParams(temperature=0, max_tokens=600)
    serve = ServeParams(context_shift=True)
    generation = session.stream(list(range(5, 105)), params, serve=serve).wait()
    assert generation.usage.n_generated == 600 or generation.finish_reason == "stop"
    if generation.finish_reason == "length":
        assert generation.notes[0].startswith("context shifted: ")
        assert "after the first 64 were dropped" in generation.notes[0]
    plain = session.stream(list(range(5, 105)), params).wait()
    assert plain.finish_reason == "length"
    assert plain.usage.n_generated == 156
    assert plain.notes == ()
    assert generation.tokens[:100] == plain.tokens[:100]
    session.close()
