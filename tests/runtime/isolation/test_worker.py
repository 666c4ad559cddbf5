"""A model in a worker: the same answers as in the kernel, and typed errors."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from localkit.errors import (
    Cancelled,
    ContextTooLong,
    DoesNotFit,
    LoadFailed,
    RuntimeFailure,
    SessionClosed,
    UsageError,
)
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.params import LoadParams, SamplingParams
from tests.faults.requesting import check_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.isolation.isolated_session import IsolatedSession
    from localkit.runtime.session import LlamaSession

PARAMS = LoadParams(n_ctx=512, n_threads=1)
GREEDY = SamplingParams(temperature=0, max_tokens=24)


@pytest.fixture(scope="module")
def isolated(tiny_gguf: Path) -> Iterator[IsolatedSession]:
    session = IsolatedRuntime().load(read_info(tiny_gguf), PARAMS)
    yield session
    session.close()


def test_a_worker_says_of_its_model_what_the_kernel_would(
    isolated: IsolatedSession, tiny: LlamaSession
) -> None:
    for name in ("n_ctx", "n_vocab", "bos", "eos", "adds_bos", "fingerprint"):
        assert getattr(isolated, name) == getattr(tiny, name), name
    assert dict(isolated.control_tokens) == dict(tiny.control_tokens)
    assert isolated.memory.total == tiny.memory.total
    assert isolated.pid != os.getpid()


def test_texts_become_the_same_tokens_and_come_back(
    isolated: IsolatedSession, tiny: LlamaSession
) -> None:
    for text in ("hello world", "", "<|im_start|>", "é 👩‍👩‍👧 \0 x"):
        for parse_special in (False, True):
            tokens = isolated.tokenize(text, parse_special=parse_special)
            assert tokens == tiny.tokenize(text, parse_special=parse_special)
            assert isolated.detokenize(tokens, special=True) == tiny.detokenize(
                tokens, special=True
            )
    with pytest.raises(RuntimeFailure, match="half a surrogate pair"):
        isolated.tokenize("\ud800")


@pytest.mark.parametrize("top_logprobs", [None, 2])
def test_an_answer_is_the_one_the_kernel_gives(
    isolated: IsolatedSession, tiny: LlamaSession, top_logprobs: int | None
) -> None:
    params = SamplingParams(seed=7, max_tokens=24, top_logprobs=top_logprobs)
    prompt = tiny.tokenize("hello")
    theirs = tiny.stream(prompt, params)
    expected = list(theirs)
    stream = isolated.stream(prompt, params)
    assert list(stream) == expected
    for name in ("text", "tokens", "finish_reason", "seed", "logprobs"):
        assert getattr(stream.generation, name) == getattr(theirs.generation, name)
    unread = isolated.stream(prompt, params).wait()
    assert unread.tokens == theirs.generation.tokens


def test_scores_logits_and_embeddings_are_those_of_the_kernel(
    isolated: IsolatedSession, tiny: LlamaSession
) -> None:
    prompt = tiny.tokenize("hello")
    endings = [tiny.tokenize(text, add_special=False) for text in ("you", "the")]
    for ours, theirs in zip(
        isolated.score(prompt, endings), tiny.score(prompt, endings), strict=True
    ):
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, atol=1e-6)
        assert ours.is_greedy == theirs.is_greedy
        assert ours.logprobs.dtype == np.float64
    tokens = [5] * 512  # more blocks than may be under way
    ours = np.concatenate(list(isolated.logits(tokens, first=3)))
    theirs = np.concatenate(list(tiny.logits(tokens, first=3)))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    ours += 1  # the caller's own
    np.testing.assert_allclose(
        isolated.embed([prompt, endings[0]]), tiny.embed([prompt, endings[0]])
    )


def test_a_saved_state_comes_back(isolated: IsolatedSession) -> None:
    prompt = [5, 6, 7, 8] * 20
    state = isolated.save_state(prompt)
    assert isolated.restore_state(state) == len(prompt)
    answer = isolated.stream([*prompt, 9], GREEDY).wait()
    assert answer.usage.n_reused == len(prompt)
    with pytest.raises(UsageError):
        isolated.restore_state(b"nonsense")


def test_sixteen_answers_at_once_do_not_mix(
    isolated: IsolatedSession, tiny: LlamaSession
) -> None:
    prompts = [[5 + n, 60 + n, 9] for n in range(16)]
    answers: dict[int, tuple[int, ...]] = {}

    def ask(n: int) -> None:
        stream = isolated.stream(prompts[n], GREEDY)
        pieces = [piece.token for piece in stream]
        assert pieces == list(stream.generation.tokens)
        answers[n] = stream.generation.tokens

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Side by side, near ties may fall the other way: the logits decide (design/025).
    for n, prompt in enumerate(prompts):
        check_tokens(tiny, prompt, answers[n])
    assert isolated.activity.n_busy == isolated.activity.n_queued == 0


def test_errors_arrive_with_their_type_text_hint_and_numbers(
    isolated: IsolatedSession,
) -> None:
    with pytest.raises(ContextTooLong, match="600 tokens") as caught:
        isolated.stream([5] * 600, SamplingParams())
    assert caught.value.n_tokens == 600
    assert caught.value.hint.startswith("load with n_ctx>=")
    with pytest.raises(UsageError, match="temperature"):
        isolated.stream([5], SamplingParams(temperature=math.nan))
    with pytest.raises(UsageError, match="prompt is empty"):
        isolated.stream([], SamplingParams())


def test_an_answer_that_is_cancelled_before_it_starts_says_nothing(
    isolated: IsolatedSession,
) -> None:
    cancel = CancelToken()
    cancel.cancel()
    stream = isolated.stream([5, 6], SamplingParams(), cancel=cancel)
    assert list(stream) == []
    assert stream.generation.finish_reason == "interrupted"
    with pytest.raises(Cancelled):
        isolated.score([5], [[6]], cancel=cancel)


@pytest.mark.model
def test_R13_leaving_an_answer_frees_its_slot(smollm2_gguf: Path) -> None:
    session = IsolatedRuntime().load(read_info(smollm2_gguf), PARAMS)
    stream = session.stream([5, 6], SamplingParams(temperature=0))
    iterator = iter(stream)
    next(iterator)
    assert session.activity.n_busy == 1
    del iterator
    assert session.activity.n_busy == 0
    assert stream.generation.finish_reason == "interrupted"
    assert 1 <= len(stream.generation.tokens) < 400

    stream = session.stream([5, 6], SamplingParams(temperature=0))
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in stream:
            pass
    timer.join()
    assert stream.generation.finish_reason == "interrupted"
    assert stream.generation.text
    assert session.stream([5], SamplingParams(max_tokens=2)).wait().tokens
    session.close()


@pytest.mark.model
def test_closing_ends_what_runs_and_what_comes_after(smollm2_gguf: Path) -> None:
    session = IsolatedRuntime().load(read_info(smollm2_gguf), PARAMS)
    stream = session.stream([5, 6], SamplingParams(temperature=0))
    pieces = iter(stream)
    next(pieces)
    closing = threading.Thread(target=session.close)
    closing.start()
    list(pieces)
    closing.join()
    assert stream.generation.finish_reason == "interrupted"
    session.close()
    with pytest.raises(SessionClosed, match="was unloaded"):
        session.tokenize("x")
    assert session.activity.n_busy == 0


def test_loading_reports_progress_and_can_be_stopped(tiny_gguf: Path) -> None:
    reports: list[Progress] = []
    info = read_info(tiny_gguf)
    IsolatedRuntime().load(info, PARAMS, on_progress=reports.append).close()
    assert reports[-1].done == 1.0
    stop = CancelToken()
    stop.cancel()
    with pytest.raises(Cancelled):
        IsolatedRuntime().load(info, PARAMS, cancel=stop)


@pytest.mark.model
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3])
def test_R4_interrupting_a_load_ends_the_worker_at_once(
    smollm2_gguf: Path, after_s: float
) -> None:
    info = read_info(smollm2_gguf)
    n_threads = threading.active_count()
    children = set(psutil.Process().children())
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(after_s, interrupt)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        timer.start()
        IsolatedRuntime().load(info, PARAMS).close()
        time.sleep(5)  # it was loaded faster than that
    assert time.monotonic() - sent[0] <= 1
    timer.join()
    wait_s = time.monotonic() + 2
    while set(psutil.Process().children()) != children and time.monotonic() < wait_s:
        time.sleep(0.02)
    assert set(psutil.Process().children()) == children
    assert threading.active_count() == n_threads


def test_what_a_load_refuses_arrives_typed(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)
    with pytest.raises(LoadFailed, match="kv_type is 'q9_9'"):
        IsolatedRuntime().load(info, LoadParams(kv_type="q9_9"))
    with pytest.raises(DoesNotFit) as caught:
        IsolatedRuntime().load(info, LoadParams(n_ctx=1 << 40, n_threads=1))
    assert caught.value.needed > caught.value.available > 0
