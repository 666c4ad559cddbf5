"""The memory that a candidate has to fit in: asked for, or what is free now."""

from __future__ import annotations

import re
from dataclasses import dataclass

from localkit.errors import UsageError
from localkit.evals import figures

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "K": 2**10,
    "M": 2**20,
    "G": 2**30,
    "T": 2**40,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


@dataclass(frozen=True, slots=True)
class Budget:
    """Memory at a context length."""

    n_bytes: int
    n_ctx: int
    kv_type: str = "f16"
    asked: bool = True
    """False: nobody named one, so it is the memory that was available."""
    on_gpu: bool = False
    """Whether it is GPU memory."""

    def __str__(self) -> str:
        """Say how much, of what, and where the number comes from."""
        kind = "GPU memory" if self.on_gpu else "memory"
        amount = figures.size(self.n_bytes)
        if self.asked:
            return f"the {amount} of {kind} asked for"
        return f"the {amount} of {kind} available on this machine"


def parse_bytes(text: str) -> int:
    """Return the bytes that ``8GB``, ``6.5 GiB`` or ``8589934592`` stand for.

    ``GB`` is 10⁹ bytes, ``GiB`` and a bare ``G`` are 2³⁰.

    Raises:
        UsageError: the text is no amount of memory.
    """
    match = _AMOUNT.fullmatch(text)
    unit = match and _UNITS.get(match.group(2).upper())
    if not match or not unit or float(match.group(1)) * unit < 1:
        msg = f"'{text}' is no amount of memory"
        raise UsageError(msg, hint="write it like 8GB, 6.5GiB or 512MiB")
    return int(float(match.group(1)) * unit)
