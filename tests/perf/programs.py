"""llama.cpp's own programs and llama-cpp-python's `Llama`, driven for a figure."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.perf.interleaved import Sample
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TOOLS = ROOT / "build" / "llama-tools"
BENCH = TOOLS / "llama-bench"
BATCHED_BENCH = TOOLS / "llama-batched-bench"
SERVER = TOOLS / "llama-server"

needs_tools = pytest.mark.skipif(
    not SERVER.exists(), reason="no llama-server here: run make perf"
)


def bench(file: Path, n_threads: int, n_tokens: int) -> Sample:
    """Decode with llama-bench, a process of its own (tg)."""
    result = _json_line(
        [
            str(BENCH),
            *("--model", str(file)),
            *("--n-prompt", "0"),
            *("--n-gen", str(n_tokens)),
            *("--repetitions", "1"),
            *("--threads", str(n_threads)),
            *("--n-gpu-layers", "0"),
            *("--output", "jsonl"),
        ]
    )
    return Sample(n_tokens, n_tokens / float(result["avg_ts"]))


def batched_bench(
    file: Path, n_threads: int, *, n_streams: int, n_prompt: int, n_tokens: int
) -> Sample:
    """Decode side by side with llama-batched-bench; its time without the prompts."""
    result = _json_line(
        [
            str(BATCHED_BENCH),
            *("--model", str(file)),
            *("--ctx-size", "4096"),
            *("-npp", str(n_prompt)),
            *("-ntg", str(n_tokens)),
            *("-npl", str(n_streams)),
            *("--threads", str(n_threads)),
            *("--n-gpu-layers", "0"),
            *("--output-format", "jsonl"),
        ]
    )
    return Sample(n_streams * n_tokens, float(result["t_tg"]))


def _json_line(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    result: dict[str, float] = json.loads(line)
    return result


@contextmanager
def server(
    file: Path, n_threads: int, *, n_slots: int
) -> Iterator[Callable[[Sequence[str], int], Sample]]:
    """Run llama-server; yield a function that streams all prompts at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            str(SERVER),
            *("--model", str(file)),
            *("--host", "127.0.0.1"),
            *("--port", str(port)),
            *("--ctx-size", "4096"),
            *("--parallel", str(n_slots)),
            *("--threads", str(n_threads)),
            *("--n-gpu-layers", "0"),
            *("--cache-ram", "0"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(port, process)

        def stream(prompts: Sequence[str], n_tokens: int) -> Sample:
            return _stream_all(port, prompts, n_tokens)

        yield stream
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    pytest.fail(f"llama-server did not come up; exit status {process.poll()}")


def _stream_all(port: int, prompts: Sequence[str], n_tokens: int) -> Sample:
    counts: list[int] = []

    def one(prompt: str) -> None:
        request = {
            "prompt": prompt,
            "n_predict": n_tokens,
            "temperature": 0,
            # The quickest chain that takes the likeliest token.
            "samplers": ["top_k"],
            "top_k": 1,
            "stream": True,
            "cache_prompt": False,
        }
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.request("POST", "/completion", json.dumps(request))
        # Unparsed until the end: the client takes as little of the cores as it can.
        text = connection.getresponse().read().decode()
        counts.append(int(re.findall(r'"tokens_predicted":(\d+)', text)[-1]))
        connection.close()

    seconds = run_together([partial(one, prompt) for prompt in prompts])
    assert len(counts) == len(prompts)
    return Sample(sum(counts), seconds)


def run_together(calls: Sequence[Callable[[], object]]) -> float:
    """Run each call on a thread of its own; return seconds until the last ended."""
    threads = [threading.Thread(target=call) for call in calls]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


@contextmanager
def plain_llama(
    file: Path, n_threads: int
) -> Iterator[Callable[[Sequence[str], int], Sample]]:
    """Run `llama_cpp.Llama`; yield a function that answers prompts one by one.

    A process of its own: OpenMP counts the threads of all models in a process,
    and slows all of them once they outnumber the cores.
    """
    script = Path(__file__).with_name("plain_llama.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(file), str(n_threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    try:
        assert stdout.readline() == "ready\n"

        def answer(prompts: Sequence[str], n_tokens: int) -> Sample:
            print(json.dumps([*prompts, n_tokens]), file=stdin, flush=True)
            return Sample(*json.loads(stdout.readline()))

        yield answer
    finally:
        stdin.close()
        process.wait(60)
        stdout.close()
