"""How many threads the engine should use on this machine, now.

llama.cpp's OpenMP threads spin: with another process on one of two cores, two
threads fell from 107 to 10 tok/s while one kept 56 (measured). So the count is
the cores this process may use, less those that others keep busy.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import psutil

from localkit.runtime.pacing.busy import BusyMeter

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
# Long enough to tell a busy core from a tick, short beside any model load.
_SAMPLE_S = 0.1


def usable_cores() -> int:
    """Return physical cores that this process may run on, quota included."""
    allowed = _allowed_cpus()
    cores = len({_core(cpu) for cpu in allowed})
    quota = _quota()
    return max(1, min(cores, math.floor(quota)) if quota else cores)


def choose_threads() -> int:
    """Return the usable cores that other processes leave free, at least 1.

    Takes 0.1 s to look at what the machine is doing.
    """
    cores = usable_cores()
    if cores == 1:
        return 1
    return max(1, cores - round(_busy_cores_of_others()))


def _busy_cores_of_others() -> float:
    others = BusyMeter()
    time.sleep(_SAMPLE_S)
    return others.cores()


def _allowed_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(psutil.cpu_count(logical=False) or os.cpu_count() or 1))


def _core(cpu: int) -> str:
    """Return a name that the hardware threads of one core share."""
    try:
        return Path(_SIBLINGS.format(cpu)).read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _quota() -> float | None:
    try:
        limit, period = _CGROUP_QUOTA.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1.0, int(limit) / int(period))
