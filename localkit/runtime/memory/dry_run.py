"""Plan the memory of a load exactly, without allocating it.

llama.cpp builds its graphs and sizes every buffer of a model it loads with
``no_alloc``, and logs them. It asserts on some inputs, so it runs in a child:
0.7 s on SmolLM2, which is why arithmetic goes first.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import LoadFailed
from localkit.gguf import read_info
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.params import LoadParams
from localkit.runtime.values import MemoryUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.events import OnProgress
    from localkit.gguf.info import ModelInfo


def planned_memory(info: ModelInfo, params: LoadParams, *, n_ctx: int) -> MemoryUse:
    """Return what loading on the CPU would allocate, by kind.

    Raises:
        LoadFailed: llama.cpp refuses the model or the combination; says why.
        WorkerDied: the file crashed the child.
    """
    changed = info.path.stat().st_mtime_ns
    # Threads do not change what is allocated; the others are further models.
    asked = replace(params, n_ctx=n_ctx, n_threads=None, draft=None, projector=None)
    return _planned(info.path, changed, asked)


@lru_cache(maxsize=32)
def _planned(path: Path, changed: int, params: LoadParams) -> MemoryUse:
    """Run the child once per file and params: a pool that evicts asks again."""
    del changed
    request = {"path": str(path), "params": asdict(params)}
    return MemoryUse(**run_in_child("dry-run", request))


def work(request: Mapping[str, Any], _: OnProgress) -> dict[str, Any]:
    """Load without allocating and read the sizes; runs in the child."""
    from localkit.runtime import library, logs
    from localkit.runtime.engine.context import Context
    from localkit.runtime.memory.buffers import read_memory

    info = read_info(Path(request["path"]))
    params = LoadParams(**request["params"])
    engine = library.library()
    native = engine.llama_model_default_params()
    native.no_alloc = True
    native.load_mode = engine.LLAMA_LOAD_MODE_NONE
    native.n_gpu_layers = 0
    with logs.captured() as lines:
        model = engine.llama_model_load_from_file(str(info.path).encode(), native)
        if not model:
            reason = "; ".join(logs.errors(lines)) or "no reason given"
            msg = f"llama.cpp cannot plan {info.path.name}: {reason}"
            raise LoadFailed(msg, hint="`localkit verify` tells if it is damaged")
        context = Context(engine, model, params, n_ctx=params.n_ctx or 0, n_threads=1)
        context.close()
        engine.llama_model_free(model)
    return asdict(read_memory(lines, info.weights_size))
