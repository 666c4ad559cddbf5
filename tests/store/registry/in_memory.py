"""A blob in memory that is read as a registry's, and that fails as a test asks."""

from __future__ import annotations

import hashlib
import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localkit.errors import RegistryError
from localkit.store.registry.remote import RangeReply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 1000


def random_bytes(size: int, *, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class InMemoryBlob:
    """Bytes with the digest and size that a manifest names."""

    data: bytes
    served: bytes | None = None
    """What the server has instead; None: the right bytes."""
    ignore_range: bool = False
    etags: list[str] = field(default_factory=list)
    """One for each reply; the last stays."""
    total: int | None = None
    """Size that the server claims; None: the truth."""
    says_total: bool = True
    shift: int = 0
    """How far beside the asked range the reply begins."""
    drop_after: Callable[[int], int | None] = lambda _: None
    """Bytes of the n-th reply after which the connection drops; None: never."""
    stall_after: Callable[[int], int | None] = lambda _: None
    """Bytes of the n-th reply after which nothing comes until `released`."""
    refuse: Callable[[int], RegistryError | None] = lambda _: None
    """Answer to the n-th request instead of bytes."""
    on_piece: Callable[[int], None] = lambda _: None
    """Called with the bytes sent so far, before each piece."""

    def __post_init__(self) -> None:
        self.asked: list[tuple[int, int | None]] = []
        self.n_sent = 0
        self.released = threading.Event()
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def size(self) -> int:
        return len(self.data)

    @contextmanager
    def read(self, start: int, end: int | None = None) -> Iterator[RangeReply]:
        with self._lock:
            index = len(self.asked)
            self.asked.append((start, end))
        if (error := self.refuse(index)) is not None:
            raise error
        served = self.data if self.served is None else self.served
        if self.ignore_range:
            start, end = 0, None
        if start > 0 and start >= len(served):
            raise RegistryError("no such range", status=416)
        etag = self.etags[min(index, len(self.etags) - 1)] if self.etags else None
        total = (self.total or len(served)) if self.says_total else None
        body = served[start:end]
        yield RangeReply(start + self.shift, total, etag, self._pieces(body, index))

    def _pieces(self, body: bytes, index: int) -> Iterator[bytes]:
        drop, stall = self.drop_after(index), self.stall_after(index)
        for begin in range(0, len(body), PIECE):
            piece = body[begin : begin + PIECE]
            if stall is not None and begin >= stall:
                self.released.wait()
                return
            if drop is not None and begin >= drop:
                raise RegistryError("the connection broke", retryable=True)
            with self._lock:
                self.on_piece(self.n_sent)
                self.n_sent += len(piece)
            yield piece
