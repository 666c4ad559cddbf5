"""Risky or unclean work in a process of its own.

Quantizing cannot be interrupted from inside, memory can only be measured in a
fresh process, and a bad file may abort whichever process opens it. So each runs
here: the request goes in as JSON, progress and the result come back as JSON
lines, Ctrl-C or a cancel kills the child, and a child whose parent is gone ends
by itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import IO, Any

from localkit import errors
from localkit.errors import Cancelled, LocalkitError, RuntimeFailure, WorkerDied
from localkit.events import CancelToken, OnProgress, Progress, no_progress

Work = Callable[[Mapping[str, Any], OnProgress], Mapping[str, Any]]
"""What runs in the child: a JSON request in, a JSON result out."""

# The only functions a child will run, by name.
_WORK = {
    "quantize": "localkit.runtime.quantize_work:work",
    "collect-imatrix": "localkit.runtime.imatrix.collect:work",
    "measure-memory": "localkit.runtime.memory.probe:work",
    "time-load": "localkit.runtime.load_time:work",
    "prove": "localkit.runtime.isolation.proving:work",
    "dry-run": "localkit.runtime.memory.dry_run:work",
    "render-template": "localkit.chat.template_child:work",
}
_STEP_S = 0.05
_PR_SET_PDEATHSIG = 1  # sys/prctl.h


def run_in_child(
    name: str,
    request: Mapping[str, Any],
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Run the work called ``name`` in a child process and return its result.

    Raises:
        WorkerDied: the child crashed or was killed; says by which signal.
        Cancelled: ``cancel`` was raised.
        LocalkitError: whatever the work raised.
    """
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [sys.executable, "-m", "localkit.runtime.isolation.child", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
        )
        try:
            answer = _converse(process, request, on_progress, cancel or CancelToken())
        finally:
            _end(process)
        if answer is None:
            raise death(f"'{name}'", process.returncode, noise)
    if "error" in answer:
        raise revive(answer["error"])
    result: dict[str, Any] = answer["result"]
    return result


def _converse(
    process: subprocess.Popen[bytes],
    request: Mapping[str, Any],
    on_progress: OnProgress,
    cancel: CancelToken,
) -> dict[str, Any] | None:
    """Send the request, pass progress on, return the last message or None."""
    stdin, stdout = _pipes(process)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reader = threading.Thread(target=_pump, args=(stdout, lines), daemon=True)
    reader.start()
    try:
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
    except BrokenPipeError:
        return None
    while True:
        if cancel.cancelled:
            msg = "the work was stopped"
            raise Cancelled(msg)
        try:
            line = lines.get(timeout=_STEP_S)
        except queue.Empty:
            continue
        if not line:
            return None
        message: dict[str, Any] = json.loads(line)
        if "progress" not in message:
            return message
        on_progress(Progress(**message["progress"]))


def _pump(stdout: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(b"")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:  # Popen was asked for both
        msg = "the child has no pipes"
        raise RuntimeFailure(msg)
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    stdin, stdout = _pipes(process)
    try:
        process.wait(_STEP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    stdin.close()
    stdout.close()


def death(what: str, code: int, noise: IO[bytes]) -> WorkerDied:
    """Return the error for a child that ended: by which signal, saying what."""
    how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
    noise.seek(0)
    said = noise.read().decode(errors="replace").strip().splitlines()
    why = f": {said[-1]}" if said else ""
    msg = f"the child process for {what} ended with {how}{why}"
    return WorkerDied(msg, hint="this process is unharmed; try a smaller job")


def revive(error: Mapping[str, Any]) -> LocalkitError:
    """Return an exception of the type and text that a child reported."""
    found = getattr(errors, str(error["type"]), None)
    if not (isinstance(found, type) and issubclass(found, LocalkitError)):
        found = RuntimeFailure
    revived: LocalkitError = found.__new__(found)
    LocalkitError.__init__(revived, str(error["message"]), hint=str(error["hint"]))
    vars(revived).update(error["fields"])
    return revived


def main() -> None:
    """Serve one request; the child's entry point."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    end_with_parent()
    # Native code may print to fd 1; keep that out of the conversation.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, function = _WORK[sys.argv[1]].split(":")
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def say(message: Mapping[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def report(progress: Progress) -> None:
        fields = ("step", "done", "total", "unit")
        say({"progress": {name: getattr(progress, name) for name in fields}})

    try:
        work: Work = getattr(import_module(module), function)
        say({"result": work(request, report)})
    except LocalkitError as error:
        say({"error": flatten(error)})


def flatten(error: LocalkitError) -> dict[str, Any]:
    """Return what `revive` needs to make the same exception elsewhere."""
    plain = {
        name: value
        for name, value in vars(error).items()
        if isinstance(value, str | int | float | None)
        and name not in {"hint", "__notes__"}
    }
    return {
        "type": type(error).__name__,
        "message": str(error),
        "hint": error.hint,
        "fields": plain,
    }


def end_with_parent() -> None:
    """Let the system kill this process when the thread that started it ends.

    Closed pipes tell the same, but not while a fork of the parent holds them too.
    Linux only; elsewhere the pipes must do.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the wish was known
        os._exit(1)


def _die_with_parent() -> None:
    """End this process when the parent closes our stdin, by ending or on purpose."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
