"""What the engine can run on, and how much memory is free there."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from localkit.gguf.estimate import estimate_memory
from localkit.runtime import library

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo

# ggml-backend.h, enum ggml_backend_dev_type.
_KINDS = ("CPU", "GPU", "IGPU", "ACCEL", "META")
_CGROUP = Path("/sys/fs/cgroup")
# Left free on a GPU for the display, other programs and fragmentation.
_GPU_HEADROOM = 0.9


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
    """Return bytes of RAM that a load may take, container limit included.

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
    return int(available)


def layers_that_fit(
    info: ModelInfo, *, n_ctx: int, n_ubatch: int, kv_type: str, free: int
) -> int:
    """Return how many layers fit into ``free`` bytes of GPU memory (an estimate).

    All layers and the output head count as ``n_layers + 1``, as in llama.cpp.
    """
    need = estimate_memory(info, n_ctx=n_ctx, n_ubatch=n_ubatch, kv_type=kv_type)
    room = free * _GPU_HEADROOM - need.compute
    per_layer = (need.weights + need.kv) / (info.n_layers + 1)
    return max(0, min(info.n_layers + 1, int(room / per_layer)))
