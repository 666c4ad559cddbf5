"""One attempt at a blob: streams fill its parts, a hash follows the first gap.

Threads: one a stream, one that hashes what lies before the first gap (read back
from the file, so memory stays flat; hashing and reading let other threads run),
one that flushes to the disk what has come. The caller's thread reports, watches
for silence and for Ctrl-C, and ends it all within a second: a thread that hangs in
a read is cut off from the file and left to its own time-out.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

from localkit.errors import Cancelled, DigestMismatch, RegistryError
from localkit.io.hashing import CHUNK_SIZE
from localkit.store.digest import short_digest
from localkit.store.registry.received import Received
from localkit.store.registry.refusals import NoRanges, Restart
from localkit.store.registry.stream import Abandoned, Stream
from localkit.store.registry.tries import Tries
from localkit.store.registry.working import SIGN_EVERY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.events import CancelToken
    from localkit.store.registry.journal import Journal
    from localkit.store.registry.limits import Limits
    from localkit.store.registry.remote import RangeReply, RemoteBlob
    from localkit.store.registry.working import Working

_FLUSH_EVERY = 8 << 20
_HASH_AT_ONCE = 1 << 20
_REPORT_EVERY_S = 0.1
_GRACE_S = 0.5


class Transfer:
    """The threads of one attempt, and what they share."""

    def __init__(
        self,
        blob: RemoteBlob,
        working: Working,
        journal: Journal,
        filled: list[int],
        limits: Limits,
    ) -> None:
        """Go on where ``filled`` of each part has been written; starts nothing yet."""
        self._blob, self._working = blob, working
        self._journal, self._limits = journal, limits
        self._parts = journal.head.parts()
        self.received = Received(self._parts, filled)
        self._etag = journal.head.etag
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._tries = [Tries(limits) for _ in range(len(self._parts))]

    def run(
        self, report: Callable[[int], None], cancel: CancelToken | None = None
    ) -> str:
        """Load what is missing; return the sha256 of all, 64 digits.

        Args:
            report: Called with the bytes that are there, in the caller's thread.
            cancel: Stops it.

        Raises:
            Restart: the bytes do not belong together.
            RegistryError: the server failed too often, or for good.
            OSError: the disk.
            Cancelled: ``cancel`` was raised.
        """
        n_streams = min(self._limits.n_streams, max(1, len(self._parts)))
        followers = [self._start(self._hash), self._start(self._flush)]
        try:
            loaders = [self._start(self._load) for _ in range(n_streams)]
            signed_s = 0.0
            while not self.received.wait(_REPORT_EVERY_S):
                if cancel is not None and cancel.cancelled:
                    raise Cancelled(
                        "the download was stopped",
                        hint="pull again to go on where it stopped",
                    )
                loaders += self._replace_silent()
                if not any(thread.is_alive() for thread in loaders):
                    # The last stream ended while another gave its part back.
                    loaders.append(self._start(self._load))
                if time.monotonic() - signed_s >= SIGN_EVERY_S:
                    self._journal.live()
                    signed_s = time.monotonic()
                report(self.received.total)
        finally:
            self._end(followers, loaders)
        if self.received.error is not None:
            raise self.received.error
        report(self.received.total)
        assert self.received.sha256 is not None  # noqa: S101
        return self.received.sha256

    def _end(
        self, followers: list[threading.Thread], loaders: list[threading.Thread]
    ) -> None:
        self.received.stop()
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.abandon()
        # A hash step and a flush end by themselves; a read may hang for long.
        deadline = time.monotonic() + _GRACE_S
        for thread in [*followers, *loaders]:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except Abandoned:
                pass
            except BaseException as error:  # raised again by `run`
                self.received.stop(error)

        thread = threading.Thread(target=guarded, daemon=True, name="pull")
        thread.start()
        return thread

    def _load(self) -> None:
        stream = Stream(self._working.data, self.received, self._journal, self._limits)
        with self._lock:
            self._streams.append(stream)
        try:
            while (part := self.received.take()) is not None:
                if not self._load_part(stream, part):
                    self.received.give_back(part)
                    return
        except BaseException as error:
            # What a stream that was cut off meets is nobody's trouble.
            if stream.abandoned:
                raise Abandoned from error
            raise
        finally:
            stream.abandon()

    def _load_part(self, stream: Stream, part: int) -> bool:
        """Load a part; return False when another stream should, for this is refused."""
        tries = self._tries[part]
        while not self.received.stopped:
            before = stream.begin(part, self._parts.start(part))
            failure: RegistryError | None = None
            try:
                self._read(stream, part, before)
            except RegistryError as error:
                if error.status == 416:
                    raise Restart("the server has no such range") from error
                if not error.retryable:
                    raise
                failure = error
            except DigestMismatch as error:
                raise Restart(str(error)) from error
            finally:
                stream.settle()
            if stream.abandoned:
                raise Abandoned
            now = self.received.filled_of(part)
            if now == self._parts.length(part):
                return True
            if now > before:
                tries.reset()
                continue
            wait_s = tries.failed(failure or _silence(self._blob))
            if failure is not None and failure.status in {429, 503}:
                # It may want fewer connections: the last one goes on.
                with self._lock:
                    if len(self._streams) > 1:
                        self._streams.remove(stream)
                        return False
            stream.sign(ahead_s=wait_s)
            self.received.pause(wait_s)
        return True

    def _read(self, stream: Stream, part: int, skip: int) -> None:
        start = self._parts.start(part)
        length = self._parts.length(part)
        end = None if length == self._blob.size else start + length
        with self._blob.read(start + skip, end) as reply:
            stream.sign()
            self._compare(reply, start + skip)
            for chunk in reply.chunks:
                try:
                    stream.write(chunk, length)
                except Restart:
                    if reply.start == 0 and length < self._blob.size:
                        raise NoRanges("the server ignores ranges") from None
                    raise

    def _compare(self, reply: RangeReply, asked: int) -> None:
        if reply.start != asked:
            if reply.start == 0:
                raise NoRanges("the server ignores ranges")
            raise Restart(f"asked for byte {asked}, the server sent {reply.start}")
        if reply.total is not None and reply.total != self._blob.size:
            raise Restart(
                f"{self._blob.size} bytes were declared, the server has {reply.total}"
            )
        with self._lock:
            if self._etag is None:
                self._etag = reply.etag
                self._journal.note_etag(reply.etag)
            elif reply.etag is not None and reply.etag != self._etag:
                raise Restart(f"the blob changed from {self._etag} to {reply.etag}")

    def _replace_silent(self) -> list[threading.Thread]:
        """Cut off streams that bring nothing, and start others in their place."""
        latest = time.monotonic() - self._limits.stall_s
        with self._lock:
            silent = [one for one in self._streams if one.last_sign_s < latest]
            for stream in silent:
                self._streams.remove(stream)
        started = []
        for stream in silent:
            part = stream.part
            stream.abandon()
            if part is None:
                continue
            if self.received.filled_of(part) < self._parts.length(part):
                self._tries[part].failed(
                    _silence(self._blob, f" for {self._limits.stall_s:g} s")
                )
                self.received.give_back(part)
            started.append(self._start(self._load))
        return started

    def _hash(self) -> None:
        sha256, done = hashlib.sha256(), 0
        view = memoryview(bytearray(min(CHUNK_SIZE, _HASH_AT_ONCE)))
        with self._working.data.open("rb", buffering=0) as data:
            while done < self._blob.size:
                prefix = self.received.wait_for_prefix(done + len(view))
                if self.received.stopped:
                    return
                n_read = data.readinto(view[: prefix - done])
                if not n_read:
                    raise Restart("the file became shorter meanwhile")
                sha256.update(view[:n_read])
                done += n_read
        self.received.finish(sha256.hexdigest())

    def _flush(self) -> None:
        """Flush while bytes come, so that little is left to flush at the end."""
        with self._working.data.open("rb+", buffering=0) as data:
            flushed = self.received.total
            while not self.received.ended:
                self.received.wait_for_total(flushed + _FLUSH_EVERY)
                filled = self.received.filled()
                if sum(filled) == flushed:
                    return
                flushed = sum(filled)
                os.fsync(data.fileno())
                if not self.received.stopped:
                    self._journal.note_flushed(filled)


def _silence(blob: RemoteBlob, how_long: str = "") -> RegistryError:
    return RegistryError(
        f"the registry sends nothing of blob {short_digest(blob.digest)}{how_long}",
        hint="check the connection, then pull again: it goes on where it stopped",
        retryable=True,
    )
