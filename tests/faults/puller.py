"""Fork processes that pull, quickly: Python and its imports are started once.

Reads orders as lines of JSON: ``root``, ``ref``, and what `_child` looks at. Writes
``started PID`` for each; ``said PID TEXT`` and ``ended PID CODE`` when it has ended.
With a ``step`` the process dies by SIGKILL before that step: one call that touches
the disk or the network, as the interpreter's audit events report them; with a
``byte``, once so much of a blob is written. Without ``locks``, file locks do nothing.
What is done is one of `_WORK`.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from localkit.errors import LocalkitError, ModelNotFound, StoreError
from localkit.store import Store
from localkit.store.layout import Layout
from localkit.store.ref import ModelRef
from localkit.store.registry.pull import pull
from localkit.store.registry.received import Received

_STEPS = frozenset(
    {
        "open",
        "os.chmod",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.truncate",
        "os.utime",
        "os.scandir",
        "os.listdir",
        "shutil.rmtree",
        "fcntl.flock",
        "socket.connect",
        "socket.getaddrinfo",
    }
)


def _pull(root: Path, order: dict[str, Any]) -> str:
    receipt = pull(Layout(root), ModelRef.parse(order["ref"]))
    return str(receipt.model.weights)


def _stress(root: Path, order: dict[str, Any]) -> str:
    """Pull, prune, load and remove at random for some seconds."""
    chance = random.Random(order["seed"])
    store, counts = Store(root), dict.fromkeys(("pull", "prune", "load", "remove"), 0)
    until = time.monotonic() + order["seconds"]
    while time.monotonic() < until:
        name = f"{order['ref']}-{chance.choice('xyz')}"
        what = chance.choice(["pull", "pull", "prune", "load", "load", "remove"])
        match what:
            case "pull":
                # Removed by another process while it was being pulled: it says so.
                try:
                    pull(Layout(root), ModelRef.parse(name))
                except StoreError as error:
                    if "was removed from the store meanwhile" not in str(
                        error
                    ) and not isinstance(error, ModelNotFound):
                        raise
            case "prune":
                store.prune(grace_s=0)
            case "load":
                # Removed by another process before it is opened: that may be.
                with suppress(ModelNotFound, FileNotFoundError):
                    found = store.resolve(name).weights
                    with found.open("rb") as stream:
                        stream.seek(-16, os.SEEK_END)
                        assert len(stream.read()) == 16
            case "remove":
                with suppress(ModelNotFound):
                    store.remove(name)
        counts[what] += 1
    return json.dumps(counts)


_WORK = {"pull": _pull, "stress": _stress}


def _die_before(step: int) -> None:
    n_steps, lock = 0, threading.Lock()

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal n_steps
        if event in _STEPS:
            with lock:
                n_steps += 1
                if n_steps == step:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _die_at(byte: int) -> None:
    """Die once so much of a blob was noted."""
    note = Received.note

    def counted(self: Received, part: int, n_bytes: int) -> None:
        note(self, part, n_bytes)
        if self.total >= byte:
            os.kill(os.getpid(), signal.SIGKILL)

    Received.note = counted  # type: ignore[method-assign]


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _child(order: dict[str, Any]) -> None:
    code, text = 0, ""
    try:
        if not order.get("locks", True):
            import fcntl

            fcntl.flock = lambda *_: None
        if order.get("step"):
            _die_before(order["step"])
        if order.get("byte"):
            _die_at(order["byte"])
        text = _WORK[order.get("do", "pull")](Path(order["root"]), order)
    except LocalkitError as error:
        code, text = 1, f"{type(error).__name__}: {error.one_line()}"
    except BaseException as error:
        import traceback

        code, text = 2, " | ".join(traceback.format_exc().split("\n")) or repr(error)
    _say(f"said {os.getpid()} {text}")
    os._exit(code)


def main() -> None:
    """Fork what standard input asks for until it ends."""
    # Imports that a pull does late: once here, not in each process.
    for name in ("httpx2", "psutil", "filelock", "localkit.gguf.preflight"):
        importlib.import_module(name)
    buffered, running = b"", 0
    while True:
        ready, _, _ = select.select([0], [], [], 0.002 if running else None)
        if ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    _child(json.loads(line))
                running += 1
                _say(f"started {pid}")
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            running -= 1
            _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
