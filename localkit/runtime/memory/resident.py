"""Resident memory of this process, and the most it has been."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import psutil

_ROLLUP = Path("/proc/self/smaps_rollup")
_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc_pid_clear_refs(5)


class Resident(NamedTuple):
    """Resident bytes of this process."""

    mapped: int
    """Pages of files, shared with whoever maps them too."""
    anonymous: int

    @property
    def total(self) -> int:
        """Both kinds."""
        return self.mapped + self.anonymous


def resident() -> Resident:
    """Return what is resident now; where the system does not split it, all is ours."""
    if not _ROLLUP.exists():
        return Resident(0, int(psutil.Process(os.getpid()).memory_info().rss))
    sizes = {}
    for line in _ROLLUP.read_text(encoding="ascii").splitlines()[1:]:
        name, kibibytes = line.split(":")
        sizes[name] = int(kibibytes.split()[0]) * 1024
    return Resident(sizes["Rss"] - sizes["Anonymous"], sizes["Anonymous"])


def quick_resident() -> Resident:
    """Return about what `resident` does, without walking the pages: some microseconds.

    `resident` takes some milliseconds a GiB, too much for every second.
    """
    try:
        fields = _STATM.read_text(encoding="ascii").split()
    except OSError:
        return Resident(0, int(psutil.Process(os.getpid()).memory_info().rss))
    total, mapped = (int(field) * os.sysconf("SC_PAGE_SIZE") for field in fields[1:3])
    return Resident(mapped, max(0, total - mapped))


def peak_resident() -> int | None:
    """Return the most bytes ever resident at once; None where nobody counts."""
    if not _STATUS.exists():
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text("ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def forget_peak() -> None:
    """Let the peak start anew from what is resident now, where the system lets us."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
