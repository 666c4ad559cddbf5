from __future__ import annotations

import pytest

from localkit.errors import ContextTooLong, UsageError
from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams


@pytest.fixture
def session(tiny_gguf):
    params = LoadParams(n_ctx=512, n_seq_max=4, n_threads=1)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    yield session
    session.close()


def test_the_cells_of_a_depth_are_computed_once_and_restored(session, monkeypatch):
    context, computed = session._context, []
    real = context.prefill

    def recorded(tokens, *, start=0, output):
        computed.append((len(tokens), start))
        real(tokens, start=start, output=output)

    monkeypatch.setattr(context, "prefill", recorded)
    for _ in range(3):
        assert session.time_prefill(16, depth=64) > 0
        assert session.time_decode(4, depth=64) > 0
    assert computed == [(64, 0), (16, 64), (16, 64), (16, 64)]


def test_restored_cells_reach_as_far_as_computed_ones(session):
    session.time_decode(4, depth=64)
    watch = session._stopwatch

    def depth_after():
        with session._scheduler.emptied():
            watch._fill(64)
            return session._engine_position()

    session._engine_position = lambda: session._loaded.engine.llama_memory_seq_pos_max(
        session._context._memory, 0
    )
    assert session._owner.call(lambda _: depth_after()) == 63


def test_another_depth_gives_back_the_cells_of_the_last(session):
    session.time_decode(2, depth=64)
    session.time_decode(2, depth=128)
    assert session._stopwatch._filled.depth == 128


def test_timing_behind_a_depth_needs_room_for_both(session):
    with pytest.raises(ContextTooLong):
        session.time_prefill(64, depth=500)


def test_streams_are_timed_side_by_side_in_both_phases(session):
    times = session.time_streams(16, 4, 4)
    assert times.prefill_s > 0
    assert times.decode_s > 0


def test_more_streams_than_slots_are_refused(session):
    with pytest.raises(UsageError, match="5 streams were asked of 4"):
        session.time_streams(4, 2, 5)


def test_streams_that_do_not_fit_the_context_together_are_refused(session):
    with pytest.raises(ContextTooLong):
        session.time_streams(120, 10, 4)


def test_an_answer_says_when_each_token_came(session):
    answer = session.stream([1, 2, 3], SamplingParams(max_tokens=5, seed=1)).wait()
    assert len(answer.token_s) == len(answer.tokens)
    assert list(answer.token_s) == sorted(answer.token_s)
    assert answer.token_s[0] == pytest.approx(answer.timings.ttft_s)


def test_a_worker_times_depths_and_streams_as_the_engine_does(tiny_gguf):
    params = LoadParams(n_ctx=256, n_seq_max=2, n_threads=1)
    session = IsolatedRuntime().load(read_info(tiny_gguf), params)
    assert session.time_prefill(8, depth=32) > 0
    times = session.time_streams(8, 2, 2)
    assert times.prefill_s > 0
    answer = session.stream([1, 2, 3], SamplingParams(max_tokens=4, seed=1)).wait()
    assert len(answer.token_s) == len(answer.tokens)
    session.close()
