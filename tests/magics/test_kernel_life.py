"""A kernel that is stopped, restarted and shut down in the middle of things."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.fixtures.notebook import (
    IPYKERNELS,
    Notebook,
    bare_kernel,
    of_type,
    running_kernel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.model, pytest.mark.timeout(180)]

MODEL = "smollm2-135m-instruct:q4_1"
STORY = (
    f"%%llm {MODEL} --fresh -o story -t 0 --max-tokens 2000\nTell me a very long story."
)
SHORT = f"%%llm {MODEL} --fresh -o short -t 0 --max-tokens 8\nWhy is the sky {{{{n}}}}?"
ENDS_WITHIN_S = 5


@pytest.fixture(params=IPYKERNELS)
def notebook(
    request: pytest.FixtureRequest,
    smollm2_gguf: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Notebook]:
    home = tmp_path_factory.mktemp("kernel")
    with running_kernel(home, ipykernel=request.param) as notebook:
        yield notebook


def processes(notebook: Notebook) -> list[psutil.Process]:
    """Return the kernel's process and all that it started."""
    kernel = psutil.Process(int(notebook.value("__import__('os').getpid()")))
    return [kernel, *kernel.children(recursive=True)]


def start(notebook: Notebook, code: str) -> None:
    """Send a watched cell and return at the first piece of its answer."""
    message = notebook.client.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True},
        metadata={"cellId": "the-cell"},
    )
    notebook.client.shell_channel.send(message)
    while True:
        heard = notebook.client.get_iopub_msg(timeout=60)
        if heard["msg_type"] == "update_display_data":
            return


def seconds_to_shut_down(notebook: Notebook, before: list[psutil.Process]) -> float:
    """Shut the kernel down as Lab does; check that it ends by itself and cleanly."""
    kernel = notebook.manager.provisioner.process  # type: ignore[union-attr]
    started = time.monotonic()
    notebook.manager.shutdown_kernel(now=False)
    _, alive = psutil.wait_procs(before, timeout=ENDS_WITHIN_S)
    assert alive == []
    assert kernel.returncode == 0
    return time.monotonic() - started


def test_R4_restart_and_shutdown_while_an_answer_streams_leave_no_orphan_and_no_lock(
    notebook: Notebook,
) -> None:
    # A second model, in a process of its own, so that there is a child to leave.
    notebook.run(f"import localkit\nheld = localkit.load({MODEL!r}, isolate=True)")
    before = processes(notebook)
    assert len(before) > 1, "the isolated model has no process"
    start(notebook, STORY)
    notebook.client.stop_channels()
    notebook.manager.restart_kernel(now=False)
    _, alive = psutil.wait_procs(before, timeout=ENDS_WITHIN_S)
    assert alive == []

    client = notebook.manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    again = Notebook(notebook.manager, client)
    for code in ("%load_ext localkit", "n = 2", SHORT, "%llm list", "%llm verify"):
        reply, _ = again.run(code)
        assert reply["status"] == "ok", reply

    before = processes(again)
    start(again, STORY)
    assert seconds_to_shut_down(again, before) < ENDS_WITHIN_S


def test_a_shutdown_with_a_model_loaded_is_quick_and_no_crash(
    smollm2_gguf: Path, tmp_path: Path
) -> None:
    with running_kernel(tmp_path) as notebook:
        notebook.run("n = 3")
        notebook.run(SHORT)
        assert seconds_to_shut_down(notebook, processes(notebook)) < ENDS_WITHIN_S


def test_R4_a_killed_kernel_leaves_no_orphan(
    smollm2_gguf: Path, tmp_path: Path
) -> None:
    with running_kernel(tmp_path) as notebook:
        notebook.run(f"import localkit\nheld = localkit.load({MODEL!r}, isolate=True)")
        before = processes(notebook)
        assert len(before) > 1
        os.kill(before[0].pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(before, timeout=ENDS_WITHIN_S)
        assert alive == []


def test_loading_the_extension_is_quick_silent_and_starts_nothing(
    tmp_path: Path,
) -> None:
    with bare_kernel(tmp_path) as notebook:
        reply, messages = notebook.run("%load_ext localkit")
        assert reply["status"] == "ok"
        assert of_type(messages, "stream", "display_data", "error") == []
        assert len(processes(notebook)) == 1
        assert notebook.value("'llama_cpp' in __import__('sys').modules") == "False"
        reply, messages = notebook.run("%reload_ext localkit")
        assert reply["status"] == "ok"
        assert of_type(messages, "stream", "display_data", "error") == []
