"""What the engine can run on, and how much memory is free there."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import NamedTuple

import psutil

from localkit.runtime import library

# ggml-backend.h, enum ggml_backend_dev_type.
_KINDS = ("CPU", "GPU", "IGPU", "ACCEL", "META")
_CGROUP = Path("/sys/fs/cgroup")


class Device(NamedTuple):
    """One device as llama.cpp sees it; bytes."""

    name: str
    description: str
    kind: str
    free: int
    total: int

    @property
    def is_gpu(self) -> bool:
        """Whether layers can be offloaded to it."""
        return self.kind in ("GPU", "IGPU")

    @property
    def backend(self) -> str:
        """Name without its number: ``CUDA`` of ``CUDA0``."""
        return self.name.rstrip("0123456789")


def devices() -> tuple[Device, ...]:
    """Return every device of the engine's build, in its order of preference."""
    library.library()
    lib = library.ggml()
    get, count = lib.ggml_backend_dev_get, lib.ggml_backend_dev_count
    count.restype = ctypes.c_size_t
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return tuple(_describe(lib, get(index)) for index in range(count()))


def _describe(lib: ctypes.CDLL, pointer: int) -> Device:
    for function in (lib.ggml_backend_dev_name, lib.ggml_backend_dev_description):
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    lib.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    size_p = ctypes.POINTER(ctypes.c_size_t)
    lib.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, size_p, size_p]
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    lib.ggml_backend_dev_memory(pointer, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=lib.ggml_backend_dev_name(pointer).decode(),
        description=lib.ggml_backend_dev_description(pointer).decode(),
        kind=_KINDS[lib.ggml_backend_dev_type(pointer)],
        free=free.value,
        total=total.value,
    )


def available_memory() -> int:
    """Return bytes of RAM that a load may take, limits of container and shell included.

    Not llama.cpp's figure for the CPU device, which says that all is free.
    """
    available = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii")
        if limit != "max":
            available = min(available, int(limit) - int(used))
    except (OSError, ValueError):
        pass  # no cgroup v2, so no limit to respect
    return max(0, min(int(available), _address_space_left()))


def _address_space_left() -> int:
    """Return bytes until ``ulimit -v``, at which llama.cpp aborts the process."""
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return limit - int(psutil.Process().memory_info().vms)
