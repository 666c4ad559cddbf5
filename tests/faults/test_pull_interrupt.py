"""P9: Ctrl-C in a cell that pulls, through a real kernel."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import start_new_kernel

from localkit.store import Store
from localkit.store.registry.working import all_working
from tests.faults.pullers import weights
from tests.fixtures.notebook import Notebook
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, Faults, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.faults

_MIB = 1 << 20
_SIZE = 16 * _MIB


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def notebook(home: Path) -> Iterator[Notebook]:
    env = {**os.environ, "LOCALKIT_HOME": str(home)}
    manager, client = start_new_kernel(kernel_name="python3", env=env, cwd=str(home))
    notebook = Notebook(manager, client)
    try:
        notebook.run("%load_ext localkit")
        notebook.run("import localkit")
        yield notebook
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileRegistry]:
    with HostileRegistry() as server:
        data = weights(tmp_path, _SIZE)
        layers = [(MODEL_TYPE, data), (LICENCE_TYPE, b"Do good.")]
        server.add_model("library/tiny", "a", layers)
        yield server


@pytest.mark.parametrize("cell", ["%llm pull {ref}", "localkit.pull('{ref}')"])
@pytest.mark.parametrize("moment", ["in the middle", "while nothing comes"])
def test_P9_an_interrupted_cell_returns_within_a_second_and_the_next_goes_on(
    notebook: Notebook, server: HostileRegistry, home: Path, cell: str, moment: str
) -> None:
    store = Store(home / "models")
    cell = cell.format(ref=f"{server.host}/library/tiny:a")
    pid = int(notebook.value("__import__('os').getpid()"))
    server.faults = Faults(rate=2 * _MIB)
    if moment == "while nothing comes":
        server.faults = Faults(stall_after=2 * _MIB)
    sent: list[float] = []
    ended = threading.Event()

    def interrupt() -> None:
        while server.blob_bytes_sent < 4 * _MIB:
            if ended.wait(0.005):
                return
        if not ended.wait(0.3):
            sent.append(time.monotonic())
            os.kill(pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    reply, _ = notebook.run(cell)
    returned = time.monotonic()
    ended.set()
    thread.join()
    assert reply["status"] == "error", reply
    assert reply["ename"] == "KeyboardInterrupt"
    assert returned - sent[0] <= 1.0
    assert store.list() == []
    (left,) = all_working(store.layout)
    kept = left.n_written()
    assert kept >= 3 * _MIB

    server.faults = Faults()
    before = server.blob_bytes_sent
    reply, _ = notebook.run(cell)
    assert reply["status"] == "ok", reply
    # The server may still have been counting a chunk of the first pull.
    assert server.blob_bytes_sent - before <= _SIZE + 64 * 1024 - kept
    assert [check.ok for check in store.verify()] == [True] * 3
    store.remove(f"{server.host}/library/tiny:a")
