"""Processes that pull, started and killed by tests; see ``puller.py``."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.processes import start_script
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_S = 60.0


@dataclass
class Puller:
    """One process."""

    pid: int
    said: str = ""
    """Where the weights are, or what went wrong."""
    code: int | None = None
    """How it ended; negative: by which signal."""
    ended: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout_s: float = _WAIT_S) -> int:
        assert self.ended.wait(timeout_s), f"process {self.pid} does not end"
        assert self.code is not None
        return self.code

    def succeed(self) -> None:
        assert self.wait() == 0, self.said


class Pullers:
    """Starts processes that pull."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._started: queue.Queue[Puller] = queue.Queue()
        self._pullers: dict[int, Puller] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, root: Path, ref: str, **order: Any) -> Puller:
        assert self._process.stdin is not None
        line = json.dumps({"root": str(root), "ref": ref, **order})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._started.get(timeout=_WAIT_S)

    def join(self) -> None:
        """Wait for the end of what they say, once they are dead."""
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event, pid, *rest = line.rstrip("\n").split(" ", 2)
            puller = self._pullers.setdefault(int(pid), Puller(int(pid)))
            if event == "started":
                self._started.put(puller)
            elif event == "said":
                puller.said = rest[0] if rest else ""
            else:
                puller.code = int(rest[0])
                puller.ended.set()
                # Its number may be given to another.
                del self._pullers[int(pid)]


@contextmanager
def running_pullers() -> Iterator[Pullers]:
    process = start_script("puller.py")
    pullers = Pullers(process)
    try:
        yield pullers
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pullers.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def weights(folder: Path, n_bytes: int, *, seed: int = 0) -> bytes:
    """Return a GGUF that loads, filled up with bytes behind its tensors."""
    import random

    head = write_tiny_llama(folder / f"weights-{seed}.gguf", seed=seed).read_bytes()
    return head + random.Random(seed).randbytes(n_bytes - len(head))
