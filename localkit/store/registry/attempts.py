"""Load a blob until its bytes are right, or it is clear that they will not be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localkit.errors import DigestMismatch, RegistryError
from localkit.events import Progress
from localkit.io import processes
from localkit.io.disk import explained_write_errors, require_free
from localkit.store.digest import digest_from_hex, short_digest
from localkit.store.registry.journal import Head, Journal, read_journal
from localkit.store.registry.refusals import NoRanges, Restart
from localkit.store.registry.transfer import Transfer
from localkit.store.registry.tries import Tries

if TYPE_CHECKING:
    from localkit.events import CancelToken, OnProgress
    from localkit.store.registry.limits import Limits
    from localkit.store.registry.remote import RemoteBlob
    from localkit.store.registry.working import Working

_LOOK_EVERY_S = 0.1


class Attempts:
    """The attempts at one blob in one folder."""

    def __init__(
        self,
        blob: RemoteBlob,
        working: Working,
        limits: Limits,
        *,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> None:
        """Begin with what the folder holds."""
        self._blob, self._working, self._limits = blob, working, limits
        self._on_progress, self._cancel = on_progress, cancel
        self._again = ""
        self._ranged = True
        self._most = -1
        self._tries = Tries(limits)
        self._n_mismatches = 0

    def run(self) -> None:
        """Fill the folder's data with the blob's bytes, verified; not yet flushed.

        Raises:
            DigestMismatch: the bytes were wrong twice.
            RegistryError: the registry refuses, or failed too often in a row.
            DiskFull: it does not fit.
            Cancelled: it was stopped.
        """
        while True:
            try:
                self._once()
            except NoRanges as reason:
                self._without_ranges(reason)
            except Restart as reason:
                self._n_mismatches += 1
                if self._n_mismatches > 1:
                    raise DigestMismatch(
                        f"blob {short_digest(self._blob.digest)} came wrong twice: "
                        f"{reason}",
                        hint="nothing of it was kept; the registry, or a proxy in "
                        "between, sends other bytes than the manifest names",
                    ) from reason
                self._again = str(reason)
            else:
                return

    def _once(self) -> None:
        needed = self._blob.size - self._working.n_allocated()
        require_free(needed, self._working.folder)
        journal, filled = self._open()
        try:
            transfer = Transfer(
                self._blob, self._working, journal, filled, self._limits
            )
            digest = self._transfer(transfer)
        finally:
            journal.close()
        if digest != self._blob.digest:
            raise Restart(f"the bytes hash to {short_digest(digest)}")
        if self._working.data.stat().st_size != self._blob.size:
            raise Restart("the file became longer meanwhile")

    def _transfer(self, transfer: Transfer) -> str:
        try:
            return digest_from_hex(transfer.run(self._report, self._cancel))
        except NoRanges:
            if transfer.received.total > self._most:
                self._most = transfer.received.total
                self._tries.reset()
            raise
        except Restart:
            # One connection, and no range at the start: nothing to put together.
            self._ranged = False
            raise
        except OSError:
            needed = self._blob.size - self._working.n_allocated()
            with explained_write_errors(needed, self._working.folder):
                raise

    def _without_ranges(self, reason: NoRanges) -> None:
        """Begin again with one connection; each drop of that is a beginning too."""
        self._again = str(reason)
        if self._ranged:
            self._ranged = False
            return
        wait_s = self._tries.failed(
            RegistryError(
                f"the registry ignores ranges and breaks off blob "
                f"{short_digest(self._blob.digest)} again and again",
                hint="pull again when the connection is better",
                retryable=True,
            )
        )
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
            if self._cancel is not None and self._cancel.cancelled:
                return  # the next attempt says so

    def _open(self) -> tuple[Journal, list[int]]:
        """Return the journal and the bytes of each part that count."""
        machine = processes.machine()
        data = self._working.data
        if not self._again:
            read = read_journal(self._working.journal, self._blob.digest)
            if read is not None and read[0].size == self._blob.size and data.is_file():
                head = read[0].model_copy(update={"machine": machine})
                present = data.stat().st_size
                filled = head.parts().within(read[1], present)
                if present <= self._blob.size:
                    return Journal(self._working.journal, head, filled), filled
        data.write_bytes(b"")
        size = self._blob.size
        part_size = self._limits.part_size_of(size) if self._ranged else max(1, size)
        head = Head(
            digest=self._blob.digest, size=size, part_size=part_size, machine=machine
        )
        filled = [0] * len(head.parts())
        return Journal(self._working.journal, head, filled), filled

    def _report(self, n_bytes: int) -> None:
        step = f"downloading again: {self._again}" if self._again else "downloading"
        self._on_progress(Progress(step, n_bytes, self._blob.size, "B"))
