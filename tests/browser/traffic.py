"""What a page is told by its kernel, and what it asks of anybody else."""

from __future__ import annotations

import json
from bisect import bisect_left
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, WebSocket

SHOWS = ("display_data", "update_display_data", "comm_msg", "stream")
"""Messages that change what is seen."""


class Told(NamedTuple):
    """One message of a kernel."""

    kind: str
    at_s: float
    """When the kernel sent it, by its clock: the page hears of it in batches."""
    n_bytes: int
    parent: str
    """Id of the request that it is about."""


class Traffic:
    """Listens to the websockets of a page from now on."""

    def __init__(self, page: Page) -> None:
        """Hear what kernels tell the page; call it before the page is opened."""
        self.told: list[Told] = []
        page.on("websocket", self._listen)

    def shows(self, *kinds: str) -> list[Told]:
        """Return the messages that change what is seen, in order."""
        return [one for one in self.told if one.kind in (kinds or SHOWS)]

    def most_in_a_second(self, *kinds: str) -> int:
        """Return the largest number of them within any second."""
        times = sorted(one.at_s for one in self.shows(*kinds))
        return max(
            (
                bisect_left(times, start + 1.0) - index
                for index, start in enumerate(times)
            ),
            default=0,
        )

    def n_bytes(self, *kinds: str) -> int:
        """Return how much they weigh together."""
        return sum(one.n_bytes for one in self.shows(*kinds))

    def clear(self) -> None:
        """Forget what was heard."""
        self.told.clear()

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._hear)

    def _hear(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            header, parent = _headers_of_text(frame)
        else:
            header, parent = _headers_of_bytes(frame)
        if header is None:
            return
        at_s = datetime.fromisoformat(header["date"]).timestamp()
        self.told.append(
            Told(header["msg_type"], at_s, len(frame), parent.get("msg_id", ""))
        )


def _headers_of_text(frame: str) -> tuple[Any, Any]:
    message = json.loads(frame)
    return message.get("header"), message.get("parent_header", {})


def _headers_of_bytes(frame: bytes) -> tuple[Any, Any]:
    """Read the protocol ``v1.kernel.websocket.jupyter.org``: offsets, then parts."""
    n_offsets = int.from_bytes(frame[:8], "little")
    offsets = [
        int.from_bytes(frame[8 + 8 * n : 16 + 8 * n], "little")
        for n in range(n_offsets)
    ]
    _channel, header, parent = (frame[a:b] for a, b in pairwise(offsets[:4]))
    return json.loads(header), json.loads(parent)


class Outside:
    """Requests of a page to anybody but one origin."""

    def __init__(self, page: Page, origin: str) -> None:
        """Watch the page; ``origin`` is where it comes from."""
        self.asked: list[str] = []
        self._own = (origin, origin.replace("http", "ws"), "data:", "blob:", "about:")
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(self._own):
            self.asked.append(request.url)
