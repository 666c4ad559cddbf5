"""Models behind a URL, against llama.cpp's own server."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from localkit.chat.messages import Message
from localkit.errors import ContextTooLong, RemoteError, Unsupported
from localkit.evals.subjects.remote import RemoteSubject, open_remote
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.runtime.params import SamplingParams, Structure
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = ROOT / "build" / "llama-tools" / "llama-server"
GREEDY = SamplingParams(temperature=0, max_tokens=12, seed=1)

pytestmark = [
    pytest.mark.parity,
    pytest.mark.model,
    pytest.mark.skipif(not PROGRAM.exists(), reason="make parity builds llama-server"),
]


@pytest.fixture(scope="module")
def subject(smollm2_gguf: Path) -> Iterator[RemoteSubject]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    packages = smollm2_gguf.parents[1]
    libraries = f"{packages / 'lib'}:{packages / 'llama_cpp' / 'lib'}"
    options = f"--host 127.0.0.1 --port {port} -t 1 -c 512 -np 1 --alias smollm2"
    server = subprocess.Popen(
        [str(PROGRAM), "-m", str(smollm2_gguf), *options.split()],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _opened(f"smollm2@http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait()


def _opened(address: str, server: subprocess.Popen[bytes]) -> RemoteSubject:
    until = time.monotonic() + 60
    while True:
        try:
            return open_remote(address)
        except RemoteError as error:
            # Not there yet, or loading; a server cannot tell anybody when it is ready.
            if time.monotonic() > until or server.poll() is not None:
                raise
            if error.status not in {None, 503}:
                raise
            time.sleep(0.1)


def test_llama_server_answers_with_figures(subject: RemoteSubject) -> None:
    answer = subject.chat([Message("user", "Say hello.")], GREEDY)
    assert answer.text
    assert answer.n_prompt > 5
    assert 0 < answer.n_generated <= 12
    assert 0 < answer.ttft_s < answer.total_s
    assert "Paris" in subject.complete("The capital of France is", GREEDY).text


def test_llama_server_keeps_to_a_schema(subject: RemoteSubject) -> None:
    schema = (
        '{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}'
    )
    held = SamplingParams(
        temperature=0, max_tokens=30, structure=Structure("json_schema", schema)
    )
    assert '"n"' in subject.chat([Message("user", "1 or 2?")], held).text


def test_E8_llama_server_ignores_echo_and_is_found_out(subject: RemoteSubject) -> None:
    sample = Sample(id="0", prompt="2 + 2 =", choices=("4", "5"), gold=0)
    with pytest.raises(Unsupported, match="does not echo"):
        subject.choose(Task("t", (sample,)), sample)


def test_llama_server_says_that_a_prompt_is_too_long(subject: RemoteSubject) -> None:
    with pytest.raises(ContextTooLong) as caught:
        subject.chat([Message("user", "word " * 2000)], GREEDY)
    assert caught.value.n_ctx == 512
    assert caught.value.n_tokens > 2000
