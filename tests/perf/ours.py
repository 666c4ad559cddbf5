"""Our side of every comparison: one stream, sixteen, and what disturbs them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams
from tests.perf.interleaved import Sample
from tests.perf.programs import run_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from localkit.runtime.protocol import Session

N_STREAMS = 16
_TOPICS = (
    *("bread", "rivers", "clocks", "owls", "glass", "bridges", "salt", "maps"),
    *("ships", "wool", "planets", "gardens", "trains", "copper", "rain", "chess"),
)
_chapters = itertools.count(1)


def prompts() -> list[str]:
    """Return sixteen that no cache has seen: they differ from the second token on."""
    chapter = next(_chapters)
    return [f"Chapter {chapter}: {topic}. Long ago, when" for topic in _TOPICS]


@contextmanager
def opened(
    file: Path, *, n_threads: int | None, n_ctx: int = 4096
) -> Iterator[Session]:
    """Load a session and warm it up with one token, as llama-bench does."""
    params = LoadParams(
        n_ctx=n_ctx, n_threads=n_threads, n_gpu_layers=0, n_seq_max=N_STREAMS
    )
    session = LlamaRuntime().load(read_info(file), params)
    session.time_decode(1)
    yield session
    session.close()


def time_decode(session: Session, n_tokens: int) -> Sample:
    """Decode random tokens, as llama-bench does."""
    return Sample(n_tokens, session.time_decode(n_tokens))


def one_stream(session: Session, n_tokens: int) -> Sample:
    """Read one greedy answer, sampling and text included; decode only."""
    return _read(session, prompts()[0], n_tokens).decode


def many_streams(session: Session, n_tokens: int) -> Sample:
    """Read sixteen greedy answers on as many threads.

    Decode counts from when the last of them has its first token: until then, prompts
    are computed, which llama-batched-bench times apart too.
    """
    read: list[_Read] = []

    def one(prompt: str) -> None:
        read.append(_read(session, prompt, n_tokens))

    seconds = run_together([partial(one, prompt) for prompt in prompts()])
    assert len(read) == N_STREAMS
    started = max(one.times[0] for one in read)
    times = sorted(time for one in read for time in one.times)
    decode = Sample(sum(time > started for time in times), times[-1] - started)
    return Sample(len(times), seconds, decode)


class _Read(NamedTuple):
    times: list[float]
    """When each token was read: up to 30 ms after it was made."""
    decode: Sample
    """As the engine itself timed it."""


def _read(session: Session, prompt: str, n_tokens: int) -> _Read:
    params = SamplingParams(temperature=0, max_tokens=n_tokens)
    tokens = session.tokenize(prompt)
    stream = session.stream(tokens, params)
    times = [time.perf_counter() for _ in stream]
    answer = stream.generation
    n_generated = answer.usage.n_generated
    # Now and then an answer ends by itself: that makes the batch smaller.
    assert n_generated > 0.5 * n_tokens, answer.text
    return _Read(times, Sample(n_generated - 1, answer.timings.decode_s))


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep one core busy with another process."""
    core = max(os.sched_getaffinity(0))
    loop = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", loop])
    try:
        time.sleep(0.3)  # until it loops
        yield
    finally:
        process.kill()
        process.wait()


def beside_a_busy_cell(run: Callable[[], Sample]) -> Sample:
    """Do ``run`` on a thread while this one, a cell's, loops in pure Python."""
    done, samples = threading.Event(), []

    def work() -> None:
        samples.append(run())
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    number = 0
    while not done.is_set():
        for _ in range(10_000):
            number += 1
    thread.join()
    return _only(samples)


def beside_an_idle_cell(run: Callable[[], Sample]) -> Sample:
    """Do ``run`` on a thread while this one waits for it."""
    samples: list[Sample] = []
    run_together([lambda: samples.append(run())])
    return _only(samples)


def _only(samples: Sequence[Sample]) -> Sample:
    (sample,) = samples
    return sample
