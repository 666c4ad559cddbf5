"""Fork while a model answers; the child tries every call and says how each ended."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.gguf import read_info
from localkit.runtime.isolation import forks
from localkit.runtime.isolation.isolated import IsolatedRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.protocol import Session

PARAMS = LoadParams(n_ctx=512, n_threads=1)
FEW = SamplingParams(temperature=0, max_tokens=9)


def calls(session: Session) -> dict[str, Callable[[], Any]]:
    """Return the calls of a session by name."""
    return {
        "tokenize": lambda: session.tokenize("hello"),
        "stream": lambda: session.stream([5, 6], FEW).wait(),
        "score": lambda: session.score([5], [[6]]),
        "embed": lambda: session.embed([[5]]),
        "logits": lambda: list(session.logits([5, 6])),
        "save_state": lambda: session.save_state([5]),
        "time_prefill": lambda: session.time_prefill(4),
        "time_decode": lambda: session.time_decode(4),
    }


def end_of(call: Callable[[], Any]) -> tuple[str, float]:
    """Return what a call raised, and the seconds of processor time it took."""
    start = time.process_time()
    try:
        call()
    except Exception as error:
        return type(error).__name__, time.process_time() - start
    return "nothing", time.process_time() - start


def in_the_child(session: Session, path: Path) -> dict[str, Any]:
    """Try everything that a forked process may try."""
    ends = {name: end_of(call) for name, call in calls(session).items()}
    info = read_info(path)
    ends["load"] = end_of(lambda: LlamaRuntime().load(info, PARAMS))
    ends["close"] = end_of(session.close)
    own = end_of(lambda: IsolatedRuntime().load(info, PARAMS).close())
    return {"ends": ends, "is_child": forks.is_child(), "isolated": own[0]}


def fork_and_try(session: Session, path: Path) -> dict[str, Any]:
    """Return what the forked child reports; its exit runs every atexit call."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(in_the_child(session, path)).encode())
        sys.exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        report: dict[str, Any] = json.loads(stream.read())
    _, status = os.waitpid(child, 0)
    return {**report, "status": os.waitstatus_to_exitcode(status)}


def main(kind: str, path: Path) -> dict[str, Any]:
    """Fork in the middle of an answer, then ask the parent's session again."""
    runtime = IsolatedRuntime() if kind == "isolated" else LlamaRuntime()
    session = runtime.load(read_info(path), PARAMS)
    before = session.stream([5, 6], FEW).wait().tokens
    stop = threading.Event()

    def answer() -> None:
        while not stop.is_set():
            session.stream([7, 8], SamplingParams(temperature=0)).wait()

    busy = threading.Thread(target=answer)
    busy.start()
    time.sleep(0.2)
    report = fork_and_try(session, path)
    stop.set()
    busy.join()
    after = session.stream([5, 6], FEW).wait().tokens
    session.close()
    return {**report, "same": before == after, "parent": forks.is_child()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
