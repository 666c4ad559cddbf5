"""Know this process again, and tell whether another one still lives.

A process is named by its machine's current start, its number and the moment it
was started: numbers are given anew, after a restart of the machine all of them.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NAME = re.compile(r"([0-9a-f]{8})-(\d{1,10})-(\d{1,12})")

# What the system says of a start differs by a second when its clock is set.
_CLOCK_SLACK_S = 2


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, on one machine, between two starts of that machine."""

    machine: str
    """8 digits that stand for host, start of the host, and space of numbers."""
    pid: int
    started_s: int
    """When it was started, seconds since 1970."""

    def __str__(self) -> str:
        """Return a text that may be part of a file's name."""
        return f"{self.machine}-{self.pid}-{self.started_s}"

    def lives(self) -> bool | None:
        """Return whether it runs; None for a process that cannot be seen from here."""
        import psutil

        if self.machine != machine():
            return None
        try:
            process = psutil.Process(self.pid)
            # Killed, but not buried: in a container often for ever.
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            started = process.create_time()
        except psutil.NoSuchProcess:
            return False
        return abs(started - self.started_s) <= _CLOCK_SLACK_S


def parse(text: str) -> ProcessId | None:
    """Return the process that ``text`` names, as `ProcessId` writes it."""
    found = _NAME.fullmatch(text)
    return ProcessId(found[1], int(found[2]), int(found[3])) if found else None


def this_process() -> ProcessId:
    """Return the process that asks, also after a fork."""
    return _process(os.getpid())


@cache
def _process(pid: int) -> ProcessId:
    import psutil

    return ProcessId(machine(), pid, int(psutil.Process(pid).create_time()))


@cache
def machine() -> str:
    """Return 8 digits that stand for this machine since it was started.

    Containers that share a disk see different numbers for the same process, so
    their space of numbers belongs to it.
    """
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:  # not Linux
        import psutil

        # Minutes: the clock may be set a little between two questions.
        start, space = str(round(psutil.boot_time() / 60)), ""
    text = f"{platform.node()} {start} {space}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
