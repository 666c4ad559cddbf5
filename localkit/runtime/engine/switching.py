"""What keeps a busy cell from starving the engine: quick calls, quick switches.

Python code in a cell and the engine's thread share the GIL. A thread that let go
of it gets it back once it has waited a switch interval, 5 ms by default, so each
native call that lets go costs the engine that much while a cell is busy. A step
of one stream takes some 15 ms: with every call letting go, a busy loop left 0.56
of the decode speed (one engine thread, two cores).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH_INTERVAL_S = 0.0005

# Each takes well under a millisecond and waits for nobody: what holds the GIL must
# never wait for a thread that wants it. `llama_get_logits*` waits for the device,
# so `llama_synchronize`, which lets go, comes before it.
_QUICK = (
    "llama_get_embeddings_ith",
    "llama_get_embeddings_seq",
    "llama_get_logits",
    "llama_get_logits_ith",
    "llama_memory_clear",
    "llama_memory_seq_add",
    "llama_memory_seq_cp",
    "llama_memory_seq_pos_max",
    "llama_memory_seq_pos_min",
    "llama_memory_seq_rm",
    "llama_sampler_accept",
    "llama_sampler_apply",
    "llama_sampler_reset",
    "llama_sampler_sample",
    "llama_set_n_threads",
    "llama_token_to_piece",
    "llama_vocab_is_eog",
)


@lru_cache(maxsize=1)
def quick_calls(engine: Any) -> Any:
    """Return the engine's short functions, bound so that they keep the GIL.

    They are the same functions under the same names; everything else stays as
    llama-cpp-python binds it.
    """
    library = engine.llama_cpp._lib
    # The handle names the library that is loaded already.
    keeping = ctypes.PyDLL(library._name, handle=library._handle)
    bound = {name: _bind(keeping, name, getattr(engine, name)) for name in _QUICK}
    # A number is made in a fraction of the time of a typed pointer.
    address = ctypes.PyDLL(library._name, handle=library._handle).llama_get_logits
    address.argtypes = engine.llama_get_logits.argtypes
    address.restype = ctypes.c_void_p
    return SimpleNamespace(**bound, logits_address=address)


def _bind(library: ctypes.PyDLL, name: str, like: Any) -> Any:
    function = getattr(library, name)
    function.argtypes, function.restype = like.argtypes, like.restype
    return function


class _Interval:
    """The process's switch interval, and how many engines want it short."""

    def __init__(self) -> None:
        # Engines of several models come and go on threads of their own.
        self._lock = threading.Lock()
        self._n_decoding = 0
        self._theirs: float | None = None
        self._ours = 0.0

    def enter(self) -> None:
        with self._lock:
            self._n_decoding += 1
            now = sys.getswitchinterval()
            if self._n_decoding == 1 and now > SWITCH_INTERVAL_S:
                self._theirs = now
                sys.setswitchinterval(SWITCH_INTERVAL_S)
                self._ours = sys.getswitchinterval()  # rounded to microseconds

    def leave(self) -> None:
        with self._lock:
            self._n_decoding -= 1
            if self._n_decoding == 0:
                self._give_back()

    def after_fork(self) -> None:
        """Forget the engines that the child does not have."""
        self._lock = threading.Lock()
        self._n_decoding = 0
        self._give_back()

    def _give_back(self) -> None:
        # Someone who set it meanwhile wants what they set.
        if self._theirs is not None and sys.getswitchinterval() == self._ours:
            sys.setswitchinterval(self._theirs)
        self._theirs = None


_interval = _Interval()
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_interval.after_fork)


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Let threads take turns on the GIL sooner; the last to leave restores it."""
    _interval.enter()
    try:
        yield
    finally:
        _interval.leave()
