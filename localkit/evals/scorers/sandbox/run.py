"""Run code against its tests in a child, and say what came of it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.config import child_environment
from localkit.errors import Cancelled
from localkit.evals.scorers.sandbox.child import SECRET_BYTES
from localkit.evals.scorers.sandbox.jail import WORKPLACE

if TYPE_CHECKING:
    from localkit.events import CancelToken

Isolation = Literal["namespaces", "guard"]
"""What holds the code: namespaces of the kernel (`jail`), or an audit hook and
limits (`guard`), which keep accidents from doing harm and no more."""

READY_S = 20.0
"""Seconds that the child may take until it is ready to run the code."""
FILE_BYTES = 16 << 20
"""Bytes that one file may have which the code writes; all of them: four times that."""
N_PROCESSES = 16
"""Processes and threads that the code may have at a time."""
_MAX_RESULT = 4096
_MAX_WHY = 300
_STEP_S = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """What the code may take."""

    timeout_s: float = 10.0
    """Seconds from its start to the end of the last test."""
    memory_bytes: int = 512 << 20
    """Address space of a process."""


class Verdict(NamedTuple):
    """How code and tests went."""

    passed: bool | None
    """None: they could not be run; it is not the code's fault."""
    why: str


def isolation() -> Isolation:
    """Return what holds code on this machine; found out once, by trying."""
    return "namespaces" if _namespaces_work() else "guard"


@cache
def _namespaces_work() -> bool:
    if sys.platform != "linux":
        return False
    # Modules that are not loaded yet: what Python needs must be in sight.
    return bool(_run("", "import colorsys, wave", Limits(), None, jail=True).passed)


def run_tests(
    code: str, tests: str, *, limits: Limits, cancel: CancelToken | None = None
) -> Verdict:
    """Run ``code``, then ``tests`` in the same module, in a fresh child process.

    They pass if the end of the tests is reached. Child and all that it started are
    gone when this returns, and so is what they wrote.

    Raises:
        Cancelled: ``cancel`` was raised.
    """
    if sys.platform == "win32":
        return Verdict(None, "code is run on Linux and macOS only")
    return _run(code, tests, limits, cancel, jail=isolation() == "namespaces")


def _run(
    code: str, tests: str, limits: Limits, cancel: CancelToken | None, *, jail: bool
) -> Verdict:
    with (
        tempfile.TemporaryDirectory(
            prefix="localkit-code-", ignore_cleanup_errors=True
        ) as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8") as request,
    ):
        asked = {
            "code": code,
            "tests": tests,
            "folder": folder,
            "jail": jail,
            # Whole seconds; the clock on the wall is what ends it otherwise.
            "cpu_s": int(limits.timeout_s) + 1,
            "memory_bytes": limits.memory_bytes,
            "file_bytes": FILE_BYTES,
            "n_processes": N_PROCESSES,
        }
        json.dump(asked, request)  # ASCII: half a character is carried as well
        request.seek(0)
        environment = _environment(WORKPLACE if jail else folder)
        return _converse(request.fileno(), folder, environment, limits, cancel)


def _converse(
    request_fd: int,
    folder: str,
    environment: dict[str, str],
    limits: Limits,
    cancel: CancelToken | None,
) -> Verdict:
    ready, passed = os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES)
    secrets_out, secrets_in = os.pipe()
    result_out, result_in = os.pipe()
    try:
        os.write(secrets_in, ready + passed)
        process = subprocess.Popen(
            [
                # -B: nothing is written beside what it imports.
                *(sys.executable, "-I", "-B", "-X", "utf8"),
                str(Path(__file__).with_name("child.py")),
                *map(str, (request_fd, result_in, secrets_out)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(request_fd, result_in, secrets_out),
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(result_in)
        result_in = -1
        try:
            said, in_time = _listen(process, result_out, ready, passed, limits, cancel)
        finally:
            code = _end(process)
    finally:
        for number in (secrets_out, secrets_in, result_out, result_in):
            if number >= 0:
                os.close(number)
    return _verdict(said, ready, passed, code, limits, in_time=in_time)


def _environment(workplace: str) -> dict[str, str]:
    """Return what Python needs to start, and nothing of the user's."""
    passed = child_environment(hub_cache=Path(workplace))
    kept = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH")
    ours = {"TMPDIR": workplace, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {name: passed[name] for name in kept if name in passed} | ours


def _listen(
    process: subprocess.Popen[bytes],
    result_fd: int,
    ready: bytes,
    passed: bytes,
    limits: Limits,
    cancel: CancelToken | None,
) -> tuple[bytes, bool]:
    """Return what the child says until it ends, and whether it did so in time."""
    said = b""
    deadline = time.monotonic() + READY_S
    is_ready = False
    while True:
        if cancel is not None and cancel.cancelled:
            msg = "running the tests was stopped"
            raise Cancelled(msg, hint="run it again when you like")
        ended = _has_ended(process)
        if select.select([result_fd], [], [], 0 if ended else _STEP_S)[0]:
            piece = os.read(result_fd, _MAX_RESULT)
            said += piece
            if not piece or len(said) > _MAX_RESULT or said.endswith(passed):
                return said, True
            if not is_ready and said.startswith(ready):
                is_ready, deadline = True, time.monotonic() + limits.timeout_s
        elif ended:
            return said, True
        if time.monotonic() > deadline:
            return said, False


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    # Not `poll`: it would free the number that the group is killed by.
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, options) is not None


def _end(process: subprocess.Popen[bytes]) -> int:
    """Kill the child's whole session; return its exit code."""
    # A child that said its last is about to end by itself: how is worth knowing.
    until = time.monotonic() + _STEP_S
    while not _has_ended(process) and time.monotonic() < until:
        time.sleep(0.002)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _verdict(
    said: bytes,
    ready: bytes,
    passed: bytes,
    code: int,
    limits: Limits,
    *,
    in_time: bool,
) -> Verdict:
    if not said.startswith(ready):
        words = said.decode(errors="replace") or f"it ended with {_how(code)}"
        if not in_time:
            words = f"it was not ready after {READY_S:g} s"
        return Verdict(None, f"the child for the tests did not start: {words}")
    rest = said[len(ready) :]
    if rest == passed:
        return Verdict(True, "the tests pass")
    if not in_time or code in {128 + signal.SIGXCPU, -signal.SIGXCPU}:
        return Verdict(False, f"stopped after {limits.timeout_s:g} s")
    words = rest[:_MAX_WHY].decode(errors="replace")
    return Verdict(
        False, words or f"it ended with {_how(code)} before the tests were through"
    )


def _how(code: int) -> str:
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"exit code {code}"
