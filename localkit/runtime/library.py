"""llama-cpp-python, loaded once, late and quietly.

Loading it earlier would cost every `import localkit` half a second; loading it
without the environment variable below makes a ggml abort fork a debugger that
outlives the process (reliability reference, §1).
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from localkit.errors import EngineMissing
from localkit.runtime import logs

_lock = threading.Lock()
_OMP_PAUSE_SOFT = 1  # omp.h, omp_pause_resource_t: keep what the program set


def library() -> Any:
    """Return the ``llama_cpp`` module with its log routed to `logs`.

    Raises:
        EngineMissing: the package is not installed, or its library does not load.
    """
    with _lock:
        return _load()


@lru_cache(maxsize=1)
def _load() -> Any:
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    try:
        import llama_cpp
    except ImportError as error:
        msg = "llama-cpp-python is not installed"
        hint = "`pip install llama-cpp-python`; README, Requirements, has prebuilt ones"
        raise EngineMissing(msg, hint=hint) from error
    except (RuntimeError, OSError) as error:
        msg = f"llama-cpp-python does not load: {error}"
        hint = "reinstall it: `pip install --force-reinstall llama-cpp-python`"
        raise EngineMissing(msg, hint=hint) from error
    logs.install(llama_cpp)
    llama_cpp.llama_backend_init()
    return llama_cpp


@lru_cache(maxsize=1)
def ggml() -> Any:
    """Return libggml, whose device functions llama-cpp-python does not bind."""
    from llama_cpp._ggml import libggml

    return libggml


def version() -> str:
    """Return the versions of the binding and of llama.cpp in it."""
    binding = importlib.metadata.version("llama-cpp-python")
    return (
        f"llama-cpp-python {binding} (llama.cpp {library().llama_version().decode()})"
    )


def features() -> str:
    """Return the instruction sets and options the CPU backend uses, sorted."""
    info = library().llama_print_system_info().decode()
    flags = info.replace(":", "|").split("|")
    on = (flag.split("=")[0].strip() for flag in flags if flag.strip().endswith("= 1"))
    return " ".join(sorted(on))


def native_folder() -> Path:
    """Return the folder of the engine's shared libraries."""
    return Path(library().__file__).parent / "lib"


def release_threads() -> None:
    """End the OpenMP threads of the calling thread; its next call makes new ones.

    Every thread that calls llama.cpp has a team of its own, which waits spinning
    for the next call. Once the teams outnumber the cores, libgomp lets none spin,
    and each of the 900 barriers of a token costs a wake-up: with eight models
    resident on two cores, decode of the last fell from 220 to 97 tok/s. Ended
    teams are not counted. Making a new one takes 6 ms.
    """
    pause = _omp_pause()
    if pause is not None:
        pause(_OMP_PAUSE_SOFT)


@lru_cache(maxsize=1)
def _omp_pause() -> Any:
    """Return OpenMP's function, found through the backend; None without OpenMP."""
    for backend in native_folder().glob("*ggml-cpu.*"):
        pause = getattr(ctypes.CDLL(str(backend)), "omp_pause_resource_all", None)
        if pause is not None:
            return pause
    return None


def abort_flag() -> ctypes.Array[ctypes.c_char]:
    """Return a two-byte flag for `abort_callback`; set byte 0 to 1 to abort."""
    return ctypes.create_string_buffer(2)


@lru_cache(maxsize=1)
def abort_callback() -> Any:
    """Return a native callback that is true while the flag it is given is set.

    llama.cpp asks before every graph node whether to stop. A Python callback
    would take the GIL there (measured: 1 to 6 % of decode on an idle kernel, and
    a stall for as long as a busy cell holds the GIL). C's ``strlen`` over the
    two-byte flag is the same test without Python: 0 when clear, 1 when set. It
    costs nothing measurable and stops a prefill within 1 ms.
    """
    libc = ctypes.CDLL("msvcrt" if os.name == "nt" else None)
    return ctypes.cast(libc.strlen, library().ggml_abort_callback)
