"""A running JupyterLab, and what a person does with a notebook in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import URLError

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 60
TOKEN = "for-this-test"
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
_KERNEL = """
    const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const kernel = widget?.context?.sessionContext?.session?.kernel;
"""
IDLE = f"() => {{ {_KERNEL} return kernel?.status === 'idle'; }}"
BUSY = f"() => {{ {_KERNEL} return kernel?.status === 'busy'; }}"
# Lab says nothing of its own here, and cells stay in the page when scrolled away.
_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none", "maxNumberOutputs": 9_999},
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


class Lab(NamedTuple):
    """A running JupyterLab. Its kernels can import ``tests``."""

    url: str
    folder: Path
    home: Path
    """``LOCALKIT_HOME`` of its kernels."""

    def open(
        self, page: Page, name: str, cells: list[str], *, timeout: float = 60_000
    ) -> None:
        """Write a notebook with these cells and open it with a kernel."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": KERNELSPEC},
        )
        nbformat.write(notebook, self.folder / name)
        self.visit(page, name)
        # A run that starts before the kernel is there is dropped silently.
        page.wait_for_function(IDLE, timeout=timeout)

    def visit(self, page: Page, name: str) -> None:
        """Open a notebook that is in the folder, in a workspace without others."""
        page.goto(f"{self.url}/lab/tree/{name}?token={TOKEN}&reset")

    def run_all(self, page: Page, *, timeout: float = 60_000) -> None:
        """Run every cell; returns when the last one has ended."""
        self.command(page, "notebook:run-all-cells")
        page.wait_for_function(IDLE, timeout=timeout)

    def start_all(self, page: Page) -> None:
        """Run every cell; returns when the kernel has begun."""
        page.evaluate(
            "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
        )
        page.wait_for_function(BUSY)

    def run_cell(self, page: Page, index: int, *, timeout: float = 60_000) -> None:
        """Run one cell; returns when it has ended."""
        self.select(page, index)
        self.command(page, "notebook:run-cell")
        page.wait_for_function(IDLE, timeout=timeout)

    def select(self, page: Page, index: int) -> None:
        """Make a cell the one that commands and keys are about."""
        page.evaluate(
            """index => {
                const panel = window.jupyterapp.shell.currentWidget;
                panel.content.activeCellIndex = index;
                panel.content.mode = 'command';
                panel.content.activate();
            }""",
            index,
        )

    def command(self, page: Page, name: str, **arguments: object) -> None:
        """Run one of Lab's commands and wait until it says that it is done."""
        page.evaluate(
            "([name, arguments]) =>"
            " window.jupyterapp.commands.execute(name, arguments).then(() => null)",
            [name, arguments],
        )

    def theme(self, page: Page, name: str) -> None:
        """Change to "JupyterLab Dark" or "JupyterLab Light"."""
        self.command(page, "apputils:change-theme", theme=name)
        page.wait_for_function(
            "name => document.body.dataset.jpThemeName === name", arg=name
        )

    def resize(self, page: Page, width: int, height: int = 900) -> None:
        """Give the window a size, and all of it to the notebook."""
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(
            "() => { window.jupyterapp.shell.collapseLeft();"
            " window.jupyterapp.shell.collapseRight(); }"
        )

    def save(self, page: Page, name: str) -> NotebookNode:
        """Save the open notebook and return it as it is on disk."""
        self.command(page, "docmanager:save")
        return nbformat.read(self.folder / name, as_version=4)


@contextmanager
def running_lab(base: Path) -> Iterator[Lab]:
    """Start JupyterLab on an empty folder, with a configuration of its own."""
    folder, home = base / "notebooks", base / "localkit"
    folder.mkdir()
    for name, values in _SETTINGS.items():
        path = base / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "HOME": str(base),
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "LOCALKIT_HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }
    log = base / "lab.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
                f"--IdentityProvider.token={TOKEN}",
                f"--ServerApp.root_dir={folder}",
                "--LabApp.expose_app_in_browser=True",
                "--LabApp.news_url=None",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ],
            cwd=folder,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, server, log)
        yield Lab(url, folder, home)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(URLError, OSError):
            urllib.request.urlopen(f"{url}/api/status?token={TOKEN}", timeout=5).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.2)
            break
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
