"""One request to a worker, until its last answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localkit.errors import RuntimeFailure
from localkit.runtime.engine.reading import Reading
from localkit.runtime.isolation.child import revive
from localkit.runtime.isolation.worker_wire import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import CancelToken


class Call:
    """One request that a worker was given."""

    def __init__(
        self,
        number: int,
        send: Callable[[Message | None], None],
        kill: Callable[[], None],
        cancel: CancelToken | None,
        on_end: Callable[[Message], None],
        *,
        computes: bool,
        patience_s: float,
    ) -> None:
        """Make one that nothing has answered yet."""
        self.answers: Reading[Message, Message] = Reading(cancel, stop=self._stop)
        """Messages as they come, then the last one as its result."""
        self._number = number
        self._send = send
        self._kill = kill
        self._on_end = on_end
        self._stopped_at: float | None = None
        self._patience_s = patience_s
        self.computes = computes
        """Whether the engine computes tokens for it."""

    def more(self) -> None:
        """Tell the worker that one more message was read."""
        self._send(Message({"id": self._number, "op": "more"}))

    def receive(self, message: Message) -> bool:
        """Take a message from the worker; return whether it was the last."""
        match message.head.get("kind"):
            case "value":
                self.answers.put(message)
                return False
            case "end":
                self._on_end(message)
                self.answers.end(message)
            case "error":
                self.answers.end(error=revive(message.head["error"]))
            case _:
                msg = "the worker's message is of no kind"
                raise RuntimeFailure(msg)
        return True

    def _stop(self, _: CancelToken) -> None:
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._send(Message({"id": self._number, "op": "cancel"}))
        if time.monotonic() - self._stopped_at >= self._patience_s:
            self._kill()
