"""Deadlines that hold even against a server that sends a byte now and then.

A read timeout starts anew with every byte, so a reply can be dripped for ever, its
head included. Here a thread watches the clock beside the request and, when the time
is over or someone cancels, shuts the sockets down under it.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from localkit.errors import Cancelled, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from localkit.events import CancelToken

SOCKET_EVENTS = frozenset(
    {
        "connection.connect_tcp.complete",
        "connection.start_tls.complete",
        "proxy.start_tls.complete",
        "socks.start_tls.complete",
    }
)
"""When the HTTP library has a socket that it did not have before."""
_STEP_S = 0.1


class Deadline:
    """A moment by which something has to be over."""

    def __init__(self, seconds: float) -> None:
        """Start the clock."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds left; below 0 when it has passed."""
        return self._end - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Move it later."""
        self._end += seconds


class Watch:
    """Ends one request at its deadline or when cancelled; a context.

    Raises:
        RegistryError: on leaving, when the deadline passed.
        Cancelled: on leaving, when it was cancelled.
    """

    def __init__(
        self,
        deadline: Deadline | None,
        cancel: CancelToken | None,
        *,
        what: str,
        others: Callable[[], Iterable[socket.socket]] = tuple,
    ) -> None:
        """Watch for a deadline, a cancellation, both or neither.

        Args:
            deadline: When the request has to be over.
            cancel: Ends it as well.
            what: Who is asked, for messages.
            others: Sockets opened before, one of which the request may use: when it
                opens none of its own, all of these are shut.
        """
        self._deadline = deadline
        self._cancel = cancel
        self._what = what
        self._others = others
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take notice of the sockets that the request opens."""
        if event in SOCKET_EVENTS:
            stream = info["return_value"]
            with self._lock:
                self._sockets.append(stream.get_extra_info("socket"))
            if self._ended:
                self._shut()

    def __enter__(self) -> Self:
        """Begin to watch, where there is something to watch for."""
        if self._deadline is not None or self._cancel is not None:
            self._thread = threading.Thread(
                target=self._run, name="localkit-http-watch", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching; say why the request was ended, if it was."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        if not self._ended:
            return
        # The error of the broken socket would only hide the reason.
        if self._cancel is not None and self._cancel.cancelled:
            raise Cancelled(
                f"asking {self._what} was stopped", hint="run it again when you like"
            ) from None
        assert self._deadline is not None  # noqa: S101 - what else ended it
        raise RegistryError(
            f"{self._what} took longer than {self._deadline.seconds:g} s to answer",
            hint="try again later",
        ) from None

    def _run(self) -> None:
        while not self._over.wait(self._step_s()):
            cancelled = self._cancel is not None and self._cancel.cancelled
            passed = self._deadline is not None and self._deadline.left_s <= 0
            if cancelled or passed:
                self._ended = True
                self._shut()
                return

    def _step_s(self) -> float:
        if self._deadline is None:
            return _STEP_S
        left_s = max(0.0, self._deadline.left_s)
        return left_s if self._cancel is None else min(left_s, _STEP_S)

    def _shut(self) -> None:
        with self._lock:
            for sock in self._sockets or self._others():
                with suppress(OSError):
                    # Not the TLS socket's own method: it takes the TLS object away
                    # from under the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
