"""A worker process as its parent sees it: requests out, answers back.

Two threads here stand between the callers and the pipes. One writes, so that a
Ctrl-C in a caller never cuts a frame; the other starts the process, hands what it
says to the caller it is for, and buries it.
"""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from localkit.errors import LocalkitError, RuntimeFailure, SessionClosed, WorkerDied
from localkit.runtime.isolation import forks
from localkit.runtime.isolation import worker_wire as wire
from localkit.runtime.isolation.call import Call
from localkit.runtime.isolation.child import death
from localkit.runtime.isolation.worker_wire import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import CancelToken

_BUFFER = 1 << 16
_COMPUTING = {"stream", "answer", "score", "embed", "logits", "save_state"}
# How long what a close has cancelled may take to say how it ended.
_CLOSE_S = 5.0
# Abort is seen between two graph nodes; what takes this long will never see it.
_STUCK_S = 30.0
# A process that has closed its output is at its end; one that stays is killed.
_REAP_S = 0.5


class Worker:
    """One child process and the requests it is working on."""

    def __init__(self, name: str) -> None:
        """Start the process; it has no model yet.

        Args:
            name: What errors call it.

        Raises:
            OSError: the system starts no process.
        """
        self.died_at: float | None = None
        """`time.monotonic` of its end, once that was noticed."""
        self._name = name
        self._born_in = os.getpid()
        self._numbers = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._why: Callable[[], LocalkitError] | None = None
        self._closing = False
        # Protects the three above: no request may slip in behind the end.
        self._lock = threading.Lock()
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = (
            queue.SimpleQueue()
        )
        # Linux kills the worker when the thread that started it ends. A caller's
        # thread may be short-lived; this one lives as long as the worker.
        self._thread = threading.Thread(
            target=self._live, name=f"localkit-worker-{name}", daemon=True
        )
        try:
            self._thread.start()
            process = self._started.get()
        except BaseException:
            self._outbox.put(None)  # it ends when its input does
            raise
        if isinstance(process, OSError):
            raise process
        self._process = process

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def n_asked(self) -> int:
        """Answers, scores and the like that were asked for and have not come."""
        return sum(call.computes for call in list(self._calls.values()))

    def ask(
        self,
        operation: str,
        message: Message,
        *,
        cancel: CancelToken | None = None,
        on_end: Callable[[Message], None] = lambda _: None,
        patience_s: float = _STUCK_S,
    ) -> Call:
        """Send a request.

        Args:
            operation: Name of the call, see `worker_calls`.
            message: Its arguments.
            cancel: Raise it to stop the work.
            on_end: Called with the last message, before the answers end.
            patience_s: How long a cancel may go unheard before the process is
                killed for it.

        Raises:
            WorkerDied: the process has ended; says by which signal.
            SessionClosed: it was told to.
            RuntimeForked: this process was forked from the one it belongs to.
        """
        if os.getpid() != self._born_in:
            raise forks.forked()
        number = next(self._numbers)
        call = Call(
            number,
            self._outbox.put,
            self._process.kill,
            cancel,
            on_end,
            computes=operation in _COMPUTING,
            patience_s=patience_s,
        )
        head = {"id": number, "op": operation, **message.head}
        if call.answers.cancel.cancelled:
            head["cancelled"] = True
        with self._lock:
            if self._why is not None:
                raise self._why()
            self._calls[number] = call
            self._outbox.put(Message(head, message.body))
        return call

    def close(self) -> None:
        """Stop what runs, free the model, end the process. May be called twice."""
        if os.getpid() != self._born_in:
            return  # a fork's copy; the worker is its parent's
        with self._lock:
            if not self._closing:
                self._closing = True
                self._outbox.put(Message({"id": 0, "op": "close"}))
                self._outbox.put(None)
        try:
            self._thread.join(_CLOSE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process now, whatever it does."""
        if os.getpid() == self._born_in:
            self._process.kill()
            self._thread.join()

    def _live(self) -> None:
        with tempfile.TemporaryFile() as noise:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "localkit.runtime.isolation.worker_child"],
                    bufsize=_BUFFER,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=noise,
                )
            except OSError as error:
                self._started.put(error)
                return
            self._started.put(process)
            self._bury(self._converse(process), process.returncode, noise)

    def _converse(self, process: subprocess.Popen[bytes]) -> LocalkitError | None:
        """Pass messages on until the process has ended; return what was wrong."""
        writer = threading.Thread(target=self._write, args=(process,), daemon=True)
        writer.start()
        wrong = self._read(process)
        if wrong is not None:
            process.kill()
        try:
            process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._outbox.put(None)
        writer.join()
        _pipe(process.stdout).close()
        return wrong

    def _read(self, process: subprocess.Popen[bytes]) -> LocalkitError | None:
        """Hand out messages until there are no more; return what was wrong."""
        try:
            while (message := wire.read(_pipe(process.stdout))) is not None:
                number = int(message.head["id"])
                call = self._calls.get(number)
                if call is not None and call.receive(message):
                    with self._lock:
                        self._calls.pop(number, None)
        except (RuntimeFailure, KeyError, TypeError, ValueError) as error:
            # It runs native code over a file; what it says may be anything.
            return RuntimeFailure(f"{type(error).__name__}: {error}")
        return None

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        requests = _pipe(process.stdin)
        with suppress(OSError), requests:  # it died: the other thread sees that
            while (message := self._outbox.get()) is not None:
                try:
                    wire.write(requests, message)
                except RuntimeFailure as error:  # too large; nothing was written
                    call = self._calls.pop(message.head["id"], None)
                    if call is not None:
                        call.answers.end(error=error)
                if self._outbox.empty():
                    requests.flush()

    def _bury(self, wrong: LocalkitError | None, code: int, noise: IO[bytes]) -> None:
        died = death(f"'{self._name}'", code, noise)
        text = str(died) if wrong is None else f"{self._name}: {wrong}"

        def why() -> LocalkitError:
            if self._closing:
                msg = f"{self._name} was unloaded"
                return SessionClosed(msg, hint="load it again")
            return WorkerDied(text, hint="ask again: the model is then loaded anew")

        with self._lock:
            self._why = why
            self.died_at = time.monotonic()
            calls = list(self._calls.values())
            self._calls.clear()
        for call in calls:
            call.answers.end(error=why())


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:  # Popen was asked for both
        msg = "the worker has no pipes"
        raise RuntimeFailure(msg)
    return stream
