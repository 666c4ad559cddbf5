"""How long a model takes to be ready, in a fresh process.

A load maps the weights and reads none of them: what it costs shows when the first
token touches them all. So the time runs until that token is computed.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.gguf import read_info
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.events import CancelToken, OnProgress
    from localkit.gguf.info import ModelInfo


class LoadTime(NamedTuple):
    """Seconds of one load."""

    load_s: float
    """Until the session is there."""
    ready_s: float
    """Until the first token is computed."""


def time_load(
    info: ModelInfo, params: LoadParams, *, cancel: CancelToken | None = None
) -> LoadTime:
    """Load ``info`` in a child and compute one token; the engine itself is there.

    Give ``n_threads``, or the first load on a machine measures them as well.

    Raises:
        LoadFailed: llama.cpp refuses the model.
        DoesNotFit: the estimate exceeds the memory available.
        WorkerDied: the child crashed.
    """
    request = {"path": str(info.path), "params": asdict(params)}
    return LoadTime(**run_in_child("time-load", request, cancel=cancel))


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Load and compute a token; runs in the child."""
    from localkit.runtime import hardware
    from localkit.runtime.llama import LlamaRuntime

    hardware.devices()  # the engine's library, and its backends
    params = LoadParams(**request["params"])
    start = time.perf_counter()
    info = read_info(Path(request["path"]))
    session = LlamaRuntime().load(info, params, on_progress=on_progress)
    loaded = time.perf_counter()
    session.time_decode(1)
    ready = time.perf_counter()
    session.close()
    return LoadTime(loaded - start, ready - start)._asdict()
