"""Hundreds of requests at once, cancelled, dropped, shifted: nothing lost or mixed."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from localkit.events import CancelToken
from localkit.runtime.params import SamplingParams, ServeParams
from tests.faults.requesting import Case, check_tokens, forget, load
from tests.fixtures.gguf import F32, write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

_N_REQUESTS, _N_THREADS = 500, 8
_SECONDS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "F32.gguf", type_id=F32)


@pytest.fixture(scope="module")
def session(model: Path) -> Iterator[LlamaSession]:
    session = load(model, n_ctx=2048)
    yield session
    session.close()


def make_cases(n: int, *, seed: int, n_vocab: int) -> list[Case]:
    """Requests of mixed length; a canary of its own number opens each prompt."""
    rng = random.Random(seed)
    shared = [rng.randrange(3, n_vocab) for _ in range(300)]
    cases = []
    for number in range(n):
        length = rng.choice([1, 5, 30, 90, 200, 350])
        canary = [3 + number % 250, 3 + number // 250]
        body = [rng.randrange(3, n_vocab) for _ in range(length)]
        if rng.random() < 0.3:
            canary, body = shared[: rng.randrange(300)], [*canary, *body[:40]]
        bulk = rng.random() < 0.5
        cases.append(
            Case(
                prompt=[*canary, *body],
                n=rng.choice([1, 4, 16, 40]),
                serve=ServeParams(priority="bulk" if bulk else "interactive"),
                cancel_after=rng.choice([0, 1, 3, 10]) if rng.random() < 0.3 else None,
            )
        )
    return cases


def test_500_requests_cancelled_at_random_lose_and_mix_nothing(
    session: LlamaSession, model: Path
) -> None:
    cases = make_cases(_N_REQUESTS, seed=1, n_vocab=session.n_vocab)
    said: dict[int, tuple[tuple[int, ...], str]] = {}
    errors: list[BaseException] = []
    todo = iter(range(len(cases)))
    lock = threading.Lock()  # protects the iterator

    def work(worker: int) -> None:
        while True:
            with lock:
                number = next(todo, None)
            if number is None:
                return
            try:
                said[number] = ask(session, cases[number], wait=number % 3 == 0)
            except BaseException as error:
                errors.append(error)
                return

    warm = make_cases(50, seed=2, n_vocab=session.n_vocab)
    for case in warm:
        ask(session, case, wait=True)
    before = psutil.Process().memory_info().rss
    threads = [threading.Thread(target=work, args=(n,)) for n in range(_N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grown = psutil.Process().memory_info().rss - before
    assert not errors
    assert sorted(said) == list(range(len(cases)))
    assert (session.activity.n_busy, session.activity.n_queued) == (0, 0)
    assert grown < 16 * 2**20, f"{grown / 2**20:.1f} MiB"
    alone = load(model, n_ctx=2048)
    for number, (tokens, reason) in said.items():
        case = cases[number]
        if case.cancel_after is None:
            assert len(tokens) == case.n or reason == "stop", (number, reason)
            assert reason != "interrupted"
        check_tokens(alone, case.prompt, tokens)
    alone.close()
    session_is_whole(session)


def ask(
    session: LlamaSession, case: Case, *, wait: bool
) -> tuple[tuple[int, ...], str]:
    cancel = CancelToken()
    params = SamplingParams(temperature=0, max_tokens=case.n)
    stream = session.stream(case.prompt, params, serve=case.serve, cancel=cancel)
    if case.cancel_after is None and wait:
        stream.wait()
    elif case.cancel_after == 0:
        stream.start()
        cancel.cancel()
        stream.wait()
    else:
        for number, piece in enumerate(stream, start=1):
            assert piece.token >= 0
            if number == case.cancel_after:
                cancel.cancel()
    generation = stream.generation
    return generation.tokens, generation.finish_reason


def session_is_whole(session: LlamaSession) -> None:
    """All slots can be used at once, and give what one alone gives."""
    prompt = [9, 8, 7, 6, 5]
    params = SamplingParams(temperature=0, max_tokens=8)
    streams = [session.stream([*prompt, n], params) for n in range(3, 19)]
    for stream in streams:
        stream.start()
    for n, stream in enumerate(streams, start=3):
        generation = stream.wait()
        assert generation.finish_reason in ("length", "stop")
        check_tokens(session, [*prompt, n], generation.tokens)
    assert (session.activity.n_busy, session.activity.n_queued) == (0, 0)


def test_exact_requests_among_others_give_the_tokens_of_each_alone(
    session: LlamaSession,
) -> None:
    cases = make_cases(60, seed=3, n_vocab=session.n_vocab)
    params = [SamplingParams(temperature=0, max_tokens=case.n) for case in cases]
    exact = ServeParams(exact=True)
    streams = [
        session.stream(case.prompt, one, serve=exact)
        for case, one in zip(cases, params, strict=True)
    ]
    others = [session.stream(case.prompt, params[0]) for case in cases[::4]]
    for stream in [*streams, *others]:
        stream.start()
    together = [stream.wait().tokens for stream in streams]
    for other in others:
        other.wait()
    for case, one, tokens in zip(cases, params, together, strict=True):
        forget(session)
        alone = session.stream(case.prompt, one, serve=exact).wait()
        assert tokens == alone.tokens


def test_R9_eight_threads_that_answer_and_score_get_what_each_would_alone(
    session: LlamaSession,
) -> None:
    """Ten seconds here; ten minutes by hand, with a larger `_SECONDS`."""
    cases = make_cases(40, seed=4, n_vocab=session.n_vocab)
    exact = ServeParams(exact=True)

    def once(case: Case, kind: int) -> list[float]:
        if kind == 0:
            params = SamplingParams(temperature=0, max_tokens=case.n)
            return list(session.stream(case.prompt, params, serve=exact).wait().tokens)
        if kind == 1:
            params = SamplingParams(temperature=1.0, seed=5, max_tokens=case.n)
            return list(session.stream(case.prompt, params, serve=exact).wait().tokens)
        endings = [[5, 6, 7], [8], [9, 10]]
        scores = session.score(case.prompt, endings, serve=exact)
        return [float(value) for score in scores for value in score.logprobs]

    expected = {
        (number, kind): once(case, kind)
        for number, case in enumerate(cases)
        for kind in range(3)
    }
    wrong: list[object] = []
    n_done = [0] * _N_THREADS
    end = time.monotonic() + _SECONDS

    def work(worker: int) -> None:
        rng = random.Random(worker)
        while time.monotonic() < end:
            number, kind = rng.randrange(len(cases)), rng.randrange(4)
            try:
                if kind == 3:  # beside the exact ones, batched
                    ask(session, cases[number], wait=True)
                elif once(cases[number], kind) != expected[number, kind]:
                    wrong.append((number, kind))
            except BaseException as error:
                wrong.append(error)
                return
            n_done[worker] += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(_N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=_SECONDS + 60)
        assert not thread.is_alive(), "deadlock"
    assert wrong == []
    assert min(n_done) > 0
    assert (session.activity.n_busy, session.activity.n_queued) == (0, 0)
