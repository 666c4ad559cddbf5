from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from localkit.errors import Cancelled, DoesNotFit, GGUFError, LoadFailed
from localkit.events import CancelToken, Progress
from localkit.gguf import read_info
from localkit.runtime import hardware
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.memory.probe import measure_memory
from localkit.runtime.pacing import calibration, threads
from localkit.runtime.protocol import LoadParams
from tests.fixtures.gguf import tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

ONE_THREAD = LoadParams(n_ctx=512, n_threads=1)


def test_R3_a_context_that_cannot_fit_is_refused_before_anything_is_allocated(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "available_memory", lambda: 4 << 20)
    with pytest.raises(DoesNotFit, match="4 MiB are available") as caught:
        LlamaRuntime().load(
            read_info(tiny_gguf), LoadParams(n_ctx=1 << 20, n_threads=1)
        )
    assert caught.value.needed > caught.value.available == 4 << 20


def test_an_unknown_architecture_is_named_with_the_engine_that_lacks_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new.gguf"
    builder = tiny_llama()
    path.write_bytes(builder.build().replace(b"llama", b"lamma"))
    with pytest.raises(LoadFailed, match="architecture 'lamma' is unknown to"):
        LlamaRuntime().load(read_info(path), ONE_THREAD)


def test_a_truncated_file_never_reaches_the_engine(
    tmp_path: Path, tiny_gguf: Path
) -> None:
    info = read_info(tiny_gguf)
    path = tmp_path / "short.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:-100])
    with pytest.raises(GGUFError):
        LlamaRuntime().load(_at(info, path), ONE_THREAD)


def _at(info, path):
    import dataclasses

    return dataclasses.replace(info, path=path)


def test_an_unknown_kv_type_is_refused_with_the_known_ones(tiny_gguf: Path) -> None:
    with pytest.raises(LoadFailed, match="kv_type is 'q9_9'") as caught:
        LlamaRuntime().load(
            read_info(tiny_gguf), LoadParams(n_ctx=512, n_threads=1, kv_type="q9_9")
        )
    assert "q8_0" in caught.value.hint


def test_loading_reports_progress_and_can_be_stopped(tiny_gguf: Path) -> None:
    reports: list[Progress] = []
    info = read_info(tiny_gguf)
    LlamaRuntime().load(info, ONE_THREAD, on_progress=reports.append).close()
    assert reports[-1].done == 1.0
    stop = CancelToken()
    stop.cancel()
    with pytest.raises(Cancelled):
        LlamaRuntime().load(info, ONE_THREAD, cancel=stop)


@pytest.mark.model
def test_R4_interrupting_a_load_leaves_nothing_behind(smollm2_gguf: Path) -> None:
    info = read_info(smollm2_gguf)
    before = threading.active_count()

    def interrupt_at_the_first_report(_: Progress) -> None:
        if not fired:
            fired.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    fired: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        LlamaRuntime().load(info, ONE_THREAD, on_progress=interrupt_at_the_first_report)
    # The load is left at once; what it had made is freed behind.
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    LlamaRuntime().load(info, ONE_THREAD).close()


@pytest.mark.model
def test_R14_the_engine_prints_nothing(
    smollm2_gguf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    session = LlamaRuntime().load(read_info(smollm2_gguf), ONE_THREAD)
    list(session.logits(session.tokenize("hello")))
    session.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.model
def test_twenty_loads_leave_memory_where_it_was(tiny_gguf: Path) -> None:
    process = psutil.Process()
    info = read_info(tiny_gguf)
    for _ in range(3):
        LlamaRuntime().load(info, ONE_THREAD).close()
    before = process.memory_info().rss
    for _ in range(20):
        LlamaRuntime().load(info, ONE_THREAD).close()
    assert process.memory_info().rss - before < 20 * 200 * 1024


@pytest.mark.model
def test_memory_is_measured_in_a_child_and_matches_the_engines_account(
    smollm2_gguf: Path,
) -> None:
    info = read_info(smollm2_gguf)
    probe = measure_memory(info, LoadParams(n_ctx=1024, n_threads=1))
    assert probe.memory.kv == 1024 * 30 * 2 * 3 * 64 * 2
    assert probe.memory.weights == pytest.approx(info.weights_size, rel=0.01)
    assert probe.rss_mapped >= 0.9 * info.weights_size
    assert probe.rss_anonymous >= probe.memory.kv


def test_threads_leave_the_cores_that_others_keep_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(threads, "_busy_cores_of_others", lambda: 2.9)
    assert threads.choose_threads() == 5
    monkeypatch.setattr(threads, "_busy_cores_of_others", lambda: 30.0)
    assert threads.choose_threads() == 1


def test_the_thread_count_is_the_one_that_decoded_faster(
    monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path
) -> None:
    monkeypatch.delenv("LOCALKIT_N_THREADS")
    monkeypatch.setattr(threads, "choose_threads", lambda: 2)
    info, params = read_info(tiny_gguf), LoadParams(n_ctx=256)
    for fastest in (1, 2):
        monkeypatch.setattr(
            calibration,
            "_decode_seconds",
            lambda _, n, fastest=fastest: 0.1 if n == fastest else 0.2,
        )
        session = LlamaRuntime().load(info, params)
        assert session.fingerprint.n_threads == fastest
        assert 0 < session.time_decode(4) < 60
        session.close()


def test_usable_cores_respect_the_affinity_of_the_process() -> None:
    assert 1 <= threads.usable_cores() <= (psutil.cpu_count() or 1)


def test_the_cpu_is_among_the_devices() -> None:
    names = {device.kind: device for device in hardware.devices()}
    assert names["CPU"].description
    assert hardware.available_memory() > 0
