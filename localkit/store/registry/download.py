"""Load a blob whole and right, however often it is interrupted.

Who holds the blob's lock downloads; others wait, show how far it is, and go on in
its place when it ends early (`localkit.store.registry.waiting`). What comes is
written by `localkit.store.registry.transfer` into a folder of its own
(`localkit.store.registry.working`). Only a whole file whose sha256 was right, and
which was flushed to the disk, gets the name `Layout.partial`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from localkit.config import settings
from localkit.errors import DigestMismatch
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.disk import explained_write_errors
from localkit.store.registry.attempts import Attempts
from localkit.store.registry.limits import Limits
from localkit.store.registry.waiting import forget, lead
from localkit.store.registry.whole import publish_whole
from localkit.store.registry.working import claim, release
from localkit.store.writing import staging_area

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store.layout import Layout
    from localkit.store.registry.remote import RemoteBlob


def download(
    layout: Layout,
    blob: RemoteBlob,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
    limits: Limits | None = None,
) -> Path:
    """Leave a whole, verified, flushed file for the next `downloaded`; return it.

    It lies at ``layout.partial(blob.digest)``, or at ``layout.blob(blob.digest)``
    when the store has the blob. See `downloaded` for what is raised.
    """
    limits = limits or Limits(n_streams=settings().max_transfer_streams)
    with lead(
        layout, blob, on_progress=on_progress, cancel=cancel, limits=limits
    ) as found:
        return found or _load(
            layout, blob, on_progress=on_progress, cancel=cancel, limits=limits
        )


@contextmanager
def downloaded(
    layout: Layout,
    blob: RemoteBlob,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
    limits: Limits | None = None,
) -> Iterator[Path]:
    """Give a whole, verified, flushed file that nobody else moves or removes.

    It is to be committed within the block, or removed there if it is of no use. It
    is ``layout.blob(blob.digest)`` where the store has that by hard link. What was
    loaded when this fails, the block fails, or the process is killed is used by the
    next call.

    Args:
        layout: The store.
        blob: What to load.
        on_progress: Called in the caller's thread about ten times a second, in bytes.
        cancel: Stops it within a second.
        limits: Other numbers than the settings' and the usual ones.

    Raises:
        RegistryError: the registry refuses, or failed too often in a row.
        DigestMismatch: the bytes were wrong twice; none is kept.
        DiskFull: it does not fit; what fitted is kept.
        StoreLocked: another process has the download and shows no sign of life.
        StoreError: the store may not be written.
        Cancelled: ``cancel`` was raised.
    """
    limits = limits or Limits(n_streams=settings().max_transfer_streams)
    with ExitStack() as stack:
        path = None
        while path is None:
            with ExitStack() as leading:
                found = leading.enter_context(
                    lead(
                        layout,
                        blob,
                        on_progress=on_progress,
                        cancel=cancel,
                        limits=limits,
                    )
                )
                if found is None:
                    found = _load(
                        layout,
                        blob,
                        on_progress=on_progress,
                        cancel=cancel,
                        limits=limits,
                    )
                path = _own_name(layout, blob, found, stack)
                if path == layout.partial(blob.digest):
                    # Others may not have it before it is committed.
                    stack.enter_context(leading.pop_all())
        try:
            yield path
        finally:
            if layout.blob(blob.digest).exists() or not path.exists():
                forget(layout, blob.digest)


def _own_name(
    layout: Layout, blob: RemoteBlob, found: Path, stack: ExitStack
) -> Path | None:
    """Return a name of the file that is ours alone; None when the file has gone.

    Several who pull the same model each move a file of theirs into the store; which
    of the names it keeps does not matter.
    """
    in_store = found == layout.blob(blob.digest)
    own = stack.enter_context(staging_area(layout)) / "blob"
    try:
        if in_store and found.stat().st_mode & 0o222:
            return found  # the user's file as well: its mode is not ours to set
        os.link(found, own)
    except FileNotFoundError:
        return None
    except OSError:  # a file system without hard links
        return found
    return own


def _load(
    layout: Layout,
    blob: RemoteBlob,
    *,
    on_progress: OnProgress,
    cancel: CancelToken | None,
    limits: Limits,
) -> Path:
    with explained_write_errors(blob.size, layout.root):
        working = claim(layout, blob.digest)
        keep = False
        try:
            attempts = Attempts(
                blob, working, limits, on_progress=on_progress, cancel=cancel
            )
            attempts.run()
            return publish_whole(layout, blob.digest, working.data)
        except DigestMismatch:
            raise
        except BaseException:
            keep = working.n_written() > 0
            raise
        finally:
            release(layout, working, keep=keep)
