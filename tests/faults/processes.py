"""Looking at processes from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = Path(__file__).parents[2]


def start_script(name: str, *arguments: str, paths: str = "") -> subprocess.Popen[str]:
    """Start a script of this folder, its output and errors on pipes."""
    python_path = f"{paths}{os.pathsep}{_REPOSITORY}" if paths else str(_REPOSITORY)
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(name)), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": python_path},
    )


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill a script and what it forked, and close its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not merely unburied."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seconds_until(happened: Callable[[], bool], *, at_most_s: float) -> float:
    """Return how long it took; more than ``at_most_s`` when it did not happen."""
    start = time.monotonic()
    while not happened() and time.monotonic() - start <= at_most_s:
        time.sleep(0.02)
    return time.monotonic() - start
