"""Make contexts of a model and print, as JSON, what the engine says they take.

Run as a script by a test: the engine has one log callback for a whole process.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from typing import Any

import llama_cpp

lines: list[str] = []


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def keep(_level: int, text: bytes, _data: object) -> None:
    """Keep a piece of the engine's log."""
    lines.append(text.decode(errors="replace"))


def logged(buffer: str) -> float:
    """Return the MiB that the log gives for a kind of buffer."""
    found = re.findall(rf" {buffer} buffer size = +([\d.]+) MiB", "".join(lines))
    return sum(map(float, found))


def allocate(model: Any, *, n_ctx: int, n_ubatch: int, kv_type: str) -> dict[str, Any]:
    """Return the size of every kind of buffer of one context."""
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_ubatch, params.n_seq_max = n_ctx, n_ubatch, 8
    params.type_k = params.type_v = getattr(llama_cpp, f"GGML_TYPE_{kv_type.upper()}")
    params.kv_unified = True
    params.swa_full = False
    params.n_threads = params.n_threads_batch = 1
    lines.clear()
    context = llama_cpp.llama_init_from_model(model, params)
    sizes = {kind: logged(kind) for kind in ("KV", "compute", "output")}
    llama_cpp.llama_free(context)
    return {**sizes, "weights": llama_cpp.llama_model_size(model)}


if __name__ == "__main__":
    llama_cpp.llama_log_set(keep, ctypes.c_void_p(0))
    model = llama_cpp.llama_model_load_from_file(
        sys.argv[1].encode(), llama_cpp.llama_model_default_params()
    )
    answers = [allocate(model, **settings) for settings in json.loads(sys.argv[2])]
    sys.stdout.write(json.dumps(answers))
