from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import localkit
from localkit.config import Settings
from localkit.errors import Overloaded, RuntimeForked, SessionClosed, UsageError
from localkit.kit import Kit, set_default
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.isolation import forks
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from tests.fixtures.gguf import write_tiny_llama
from tests.runtime.pools import InThread, keep_alive_threads, until, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT, LONG = LoadParams(n_ctx=256), LoadParams(n_ctx=512)


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def kit(tmp_path: Path, runtime: FakeRuntime) -> Iterator[Kit]:
    """Return a kit whose store holds the tiny models a and b."""
    kit = Kit(Settings(home=tmp_path), runtime=runtime)
    for seed, name in enumerate("ab"):
        path = write_tiny_llama(tmp_path / f"{name}.gguf", seed=seed)
        kit.store.add(path, f"{name}:f16")
    yield kit
    kit.close()
    until(lambda: keep_alive_threads() == 0)


def test_a_model_is_loaded_once_however_it_is_asked_for(
    kit: Kit, runtime: FakeRuntime
) -> None:
    model = kit.load("a:f16")
    assert kit.load("a:f16") is model
    assert kit.load("a:f16", SHORT).session.n_ctx == model.session.n_ctx == 512
    assert len(runtime.loaded) == 1
    assert kit.resident() == [model]


def test_a_longer_context_replaces_the_shorter_and_serves_both(
    kit: Kit, runtime: FakeRuntime
) -> None:
    short = kit.load("a:f16", SHORT)
    long = kit.load("a:f16", LONG)
    assert [session.closed for session in runtime.loaded] == [True, False]
    assert short.session.tokenize("x") == long.session.tokenize("x")
    assert len(runtime.loaded) == 2
    assert len(kit.resident()) == 1


def test_other_params_than_the_context_make_another_session(
    kit: Kit, runtime: FakeRuntime
) -> None:
    kit.load("a:f16")
    kit.load("a:f16", LoadParams(kv_type="q8_0"))
    assert len(runtime.loaded) == len(kit.resident()) == 2
    assert [model.stored.ref.model for model in kit.unload("a:f16")] == ["a", "a"]
    assert kit.resident() == []


def test_unloading_is_final_for_who_holds_the_model(
    kit: Kit, runtime: FakeRuntime
) -> None:
    model, other = kit.load("a:f16"), kit.load("b:f16")
    assert kit.unload("a:f16") == [model]
    assert runtime.loaded[0].closed
    assert model.closed
    with pytest.raises(SessionClosed, match="a:f16 was unloaded"):
        model.tokenize("x")
    assert kit.resident() == [other]
    again = kit.load("a:f16")
    assert again is not model
    assert again.tokenize("x")


def test_closing_a_model_unloads_it(kit: Kit, runtime: FakeRuntime) -> None:
    with kit.load("a:f16") as model:
        assert kit.resident() == [model]
    assert kit.resident() == []
    assert runtime.loaded[0].closed


def test_a_keep_alive_is_taken_as_ollama_writes_it(kit: Kit) -> None:
    assert kit.ps() == []
    kit.load("a:f16", keep_alive="10m")
    kit.load("b:f16", keep_alive=-1)
    ends = {one.name: one.ends_in_s for one in kit.ps()}
    assert 590 < ends["a:f16"] <= 600
    assert ends["b:f16"] == float("inf")
    with pytest.raises(UsageError, match="'soon' is no duration"):
        kit.load("a:f16", keep_alive="soon")


def test_the_settings_decide_where_the_call_does_not(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "a.gguf")
    runtime = FakeRuntime()
    kit = Kit(Settings(home=tmp_path, keep_alive=7, max_queue=0), runtime=runtime)
    kit.store.add(tmp_path / "a.gguf", "a:f16")
    model = kit.load("a:f16")
    model.tokenize("x")
    assert 6 < kit.ps()[0].ends_in_s <= 7
    gate = threading.Event()
    runtime.before_load = wait_for(gate)
    slow = InThread(lambda: kit.load("a:f16", LoadParams(kv_type="q8_0")))
    until(lambda: len(kit.ps()) == 2)
    with pytest.raises(Overloaded):
        kit.load("a:f16", LoadParams(kv_type="q4_0"))
    gate.set()
    assert slow.done().error is None
    kit.close()


def test_a_closed_kit_can_be_used_again(kit: Kit, runtime: FakeRuntime) -> None:
    model = kit.load("a:f16")
    kit.close()
    assert runtime.loaded[0].closed
    with pytest.raises(SessionClosed):
        model.tokenize("x")
    assert kit.resident() == []
    assert kit.load("a:f16").tokenize("x")


def test_a_measurements_session_is_exact_and_survives_an_unload(
    kit: Kit, runtime: FakeRuntime
) -> None:
    kit.load("a:f16")
    session = kit.load_apart(kit.store.resolve("a:f16"), LoadParams(n_ctx=300))
    assert session.n_ctx == 300
    assert [one.apart for one in kit.ps()] == [True, False]
    assert len(kit.unload()) == 1
    assert [one.closed for one in runtime.loaded] == [True, False]
    session.close()
    assert runtime.loaded[1].closed
    assert kit.ps() == []


def test_R10_a_forked_process_may_not_load_and_closes_nothing(
    kit: Kit, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kit.load("a:f16")
    with monkeypatch.context() as forked:
        forked.setattr(forks, "_is_child", True)
        with pytest.raises(RuntimeForked):
            kit.load("a:f16")
        with pytest.raises(RuntimeForked):
            model.tokenize("x")
        kit.close()
        assert not runtime.loaded[0].closed


def test_the_public_load_passes_everything_on(kit: Kit) -> None:
    set_default(kit)
    try:
        model = localkit.load("a:f16", n_ctx=256, kv_type="q8_0", keep_alive="1h")
    finally:
        set_default(None)
    assert model.session.fingerprint.kv_type == "q8_0"
    assert 3590 < kit.ps()[0].ends_in_s <= 3600


def test_llama_models_are_shared_unloaded_and_loaded_again(tmp_path: Path) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    kit = Kit(Settings(home=tmp_path), runtime=LlamaRuntime())
    kit.store.add(path, "tiny:f16")
    model = kit.load("tiny:f16", LoadParams(n_ctx=256, n_threads=1), keep_alive=0)
    before = model.session.score([5, 6], [[7]])[0].logprobs
    until(lambda: kit.ps()[0].state == "unloaded")
    assert kit.ps()[0].reason == "unused for 0 s"
    after = model.session.score([5, 6], [[7]])[0].logprobs
    assert abs(float(before[0] - after[0])) < 1e-6
    assert kit.ps()[0].lies == "100% CPU"
    kit.close()


LEAVE = """
import sys
from pathlib import Path
from localkit.config import Settings
from localkit.kit import default_kit
kit = default_kit()
kit.store.add(Path(sys.argv[1]), "tiny:f16")
model = kit.load("tiny:f16")
next(iter(model.session.stream([5, 6, 7], localkit.SamplingParams(max_tokens=50))))
"""


def test_a_process_ends_cleanly_with_models_loaded_and_an_answer_open(
    tmp_path: Path,
) -> None:
    path = write_tiny_llama(tmp_path / "tiny.gguf")
    done = subprocess.run(
        [sys.executable, "-c", "import localkit" + LEAVE, str(path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
