"""Evaluate in children that are killed one after the other, until one gets through.

Started as a program of its own: it forks, and nothing but itself may be loaded then.
Prints the number of children that were killed while they worked.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from localkit.evals.running.evaluate import evaluate
from localkit.evals.scorers.includes import Includes
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from localkit.events import Progress


def tasks(n_samples: int) -> list[Task]:
    """Return two tasks whose answers depend on the sample."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    written = Task(
        name="written",
        samples=tuple(
            Sample(f"w{i}", f"{i} {letters[i % 26]}", target=(letters[i % 7],))
            for i in range(n_samples // 2)
        ),
        method="generate",
        chat=False,
        scorers=(Includes(words=False),),
        params=SamplingParams(temperature=0, max_tokens=4, seed=0),
        epochs=2,
    )
    choices = Task(
        name="choices",
        samples=tuple(
            Sample(f"c{i}", f"{i}", choices=(letters[i % 26], f"{i * 7}"), gold=i % 2)
            for i in range(n_samples - n_samples // 2)
        ),
    )
    return [written, choices]


def work(n_samples: int, report: int) -> None:
    """Evaluate; write a byte for each answer."""

    def on_progress(progress: Progress) -> None:
        if progress.unit == "items":
            os.write(report, b".")

    with closing(Kit(runtime=FakeRuntime())) as kit:
        evaluate("tiny:f16", tasks(n_samples), kit=kit, on_progress=on_progress)


def one_child(n_samples: int, kill_at: int | None, delay_s: float) -> bool:
    """Return whether the child was killed before its end."""
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(n_samples, report)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(report)
    if kill_at is not None:
        n_answers = 0
        while n_answers < kill_at and (said := os.read(reading, kill_at - n_answers)):
            n_answers += len(said)
        time.sleep(delay_s)  # somewhere inside the next answer, or its commit
        os.kill(child, signal.SIGKILL)
    else:
        while os.read(reading, 1 << 16):
            pass
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
        sys.exit("a child failed")
    return os.WIFSIGNALED(status)


def main(n_samples: int, n_kills: int, seed: int) -> None:
    """Kill ``n_kills`` children, each after some answers, and let the last one end."""
    rng = random.Random(seed)
    most = 2 * n_samples // (n_kills + 1) if n_kills else 0
    killed = sum(
        one_child(n_samples, rng.randint(0, most), rng.uniform(0, 0.004))
        for _ in range(n_kills)
    )
    one_child(n_samples, None, 0)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
