"""Download a blob, or wait for who does: one download, however many want it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from localkit.errors import Cancelled, StoreLocked
from localkit.events import Progress
from localkit.io.atomic import make_folders
from localkit.io.disk import explained_write_errors
from localkit.io.locks import holder_of, try_hold
from localkit.store.digest import short_digest
from localkit.store.registry.whole import check_whole, forget_whole, known_whole
from localkit.store.registry.working import all_working, remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.events import CancelToken, OnProgress
    from localkit.store.layout import Layout
    from localkit.store.registry.limits import Limits
    from localkit.store.registry.remote import RemoteBlob

_LOOK_EVERY_S = 0.1


@contextmanager
def lead(
    layout: Layout,
    blob: RemoteBlob,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
    limits: Limits,
) -> Iterator[Path | None]:
    """Give the verified file when there is one, or None: then it is ours to load.

    Waits as long as another process or thread loads it.

    Raises:
        StoreLocked: the other shows no sign of life; names it.
        StoreError: the store may not be written.
        Cancelled: ``cancel`` was raised.
    """
    with explained_write_errors(0, layout.root):
        make_folders(layout.partials)
    lock = layout.partial(blob.digest, ".lock")
    other = _Other(layout, blob, limits.takeover_s)
    with ExitStack() as holding:
        while True:
            with ExitStack() as trying, explained_write_errors(0, layout.root):
                held = trying.enter_context(try_hold(lock, purpose="pulling"))
                if held:
                    holding.enter_context(trying.pop_all())
            if held:
                found = check_whole(
                    layout,
                    blob.digest,
                    blob.size,
                    on_progress=on_progress,
                    cancel=cancel,
                )
                break
            if found := known_whole(layout, blob.digest, blob.size):
                break
            on_progress(other.progress(lock))
            if cancel is not None and cancel.cancelled:
                raise Cancelled("the wait for a download was stopped")
            time.sleep(_LOOK_EVERY_S)
        yield found


class _Other:
    """Who downloads in our place, watched for signs of life."""

    def __init__(self, layout: Layout, blob: RemoteBlob, takeover_s: float) -> None:
        self._layout, self._blob = layout, blob
        self._takeover_s = takeover_s
        self._sign: object = None
        self._done = 0
        self._signed_s = time.monotonic()

    def progress(self, lock: Path) -> Progress:
        """Return how far it is.

        Raises:
            StoreLocked: nothing has changed for too long.
        """
        seen = [
            (working.folder.name, working.last_sign_ns(), working.n_written())
            for working in all_working(self._layout, self._blob.digest)
        ]
        if seen != self._sign:
            self._sign, self._signed_s = seen, time.monotonic()
        holder = holder_of(lock)
        silent_s = time.monotonic() - self._signed_s
        if silent_s > self._takeover_s:
            raise StoreLocked(
                f"blob {short_digest(self._blob.digest)} is being downloaded by "
                f"{holder}, "
                f"which has shown no sign of life for {silent_s:.0f} s",
                hint="stop that process, then pull again: it goes on where it stopped",
            )
        # Nothing is seen for a moment when one has ended and the next not begun.
        self._done = max((n_bytes for _, _, n_bytes in seen), default=self._done)
        return Progress(f"waiting for {holder}", self._done, self._blob.size, "B")


def forget(layout: Layout, digest: str) -> None:
    """Remove what is left of a download that was committed, or is of no use."""
    lock = layout.partial(digest, ".lock")
    with suppress(OSError), try_hold(lock, purpose="tidying") as held:
        if held and not any(one.is_live() for one in all_working(layout, digest)):
            for working in all_working(layout, digest):
                remove(layout, working)
            forget_whole(layout, digest)
            lock.unlink(missing_ok=True)
