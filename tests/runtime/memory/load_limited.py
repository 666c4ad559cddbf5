"""Load a model with little memory, and print as JSON what came of it.

Run as a script by a test: a limit holds for a whole process.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path

import psutil

from localkit.errors import DoesNotFit, LocalkitError
from localkit.gguf import read_info
from localkit.runtime import hardware
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams

MIB = 1 << 20


def rss() -> int:
    """Return resident bytes."""
    return int(psutil.Process(os.getpid()).memory_info().rss)


def attempt(path: str, n_ctx: int) -> dict[str, object]:
    """Load, unload, and say how it ended."""
    before = rss()
    try:
        session = LlamaRuntime().load(
            read_info(Path(path)), LoadParams(n_ctx=n_ctx, n_threads=1)
        )
    except LocalkitError as error:
        told: dict[str, object] = {"error": type(error).__name__, "text": str(error)}
        if isinstance(error, DoesNotFit):
            told |= {"n_ctx_that_fits": error.n_ctx_that_fits, "needed": error.needed}
    else:
        told = {"n_ctx": session.n_ctx}
        session.close()
    if "--trim" in sys.argv:
        ctypes.CDLL(None).malloc_trim(0)
    return told | {"kept": rss() - before}


if __name__ == "__main__":
    model, limit_mib = sys.argv[1], int(sys.argv[2])
    hardware.devices()  # the engine's own share is not the model's
    LlamaRuntime().load(read_info(Path(sys.argv[3])), LoadParams(n_ctx=256)).close()
    if limit_mib:
        taken = psutil.Process(os.getpid()).memory_info().vms
        most = taken + limit_mib * MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if "--blind" in sys.argv:
        hardware.available_memory = lambda: 1 << 50
    first = attempt(model, 8192)
    again = attempt(model, int(str(first.get("n_ctx_that_fits", 8192))))
    sys.stdout.write(json.dumps([first, again]))
