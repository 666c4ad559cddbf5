"""What llama.cpp says it allocated: its log is its only account of that.

The wording is no API; a test pins it for the engine's version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.runtime.values import MemoryUse

if TYPE_CHECKING:
    from collections.abc import Iterable

_BUFFER = re.compile(
    r"(\S+)\s+(model|KV|RS|compute|output) buffer size =\s*([\d.]+) MiB"
)
_CACHE = re.compile(r"llama_kv_cache: size =\s*([\d.]+) MiB")
_KINDS = {"model": "weights", "RS": "RS", "KV": "KV"}


def read_memory(lines: Iterable[tuple[int, str]], weights_size: int) -> MemoryUse:
    """Return the buffer sizes in the log of a load.

    Args:
        lines: Level and text of each message.
        weights_size: Bytes of the tensors, for where the log gives none: a dry
            run plans no weights.
    """
    text = "".join(message for _, message in lines)
    sizes = {"weights": 0, "KV": 0, "RS": 0, "compute": 0}
    by_device: dict[str, int] = {}
    for device, what, mebibytes in _BUFFER.findall(text):
        size = _bytes(mebibytes)
        sizes[_KINDS.get(what, "compute")] += size
        by_device[device] = by_device.get(device, 0) + size
    # A dry run gives its caches buffers of no size, and says how large they were.
    kv = sizes["KV"] or sum(map(_bytes, _CACHE.findall(text)))
    return MemoryUse(
        weights=sizes["weights"] or weights_size,
        kv=kv + sizes["RS"],
        compute=sizes["compute"],
        by_device=by_device,
    )


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * 2**20)
