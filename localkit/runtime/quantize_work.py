"""The part of quantizing that runs in a child: one call that nothing interrupts."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from localkit.errors import QuantizeFailed
from localkit.events import OnProgress, Progress, no_progress
from localkit.gguf import read_header
from localkit.gguf.imatrix import Imatrix, read_imatrix
from localkit.gguf.types import WEIGHT_TYPES, file_type_id
from localkit.io.disk import require_free
from localkit.runtime import library, logs
from localkit.runtime.quantize_plan import check_imatrix, check_types, read_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TENSOR_LINE: Final = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
_MOST_TEXT: Final = 127
"""Bytes of a text that llama.cpp takes as metadata."""


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Plan, check, and quantize; runs in the child."""
    engine = library.library()
    label = str(request["quant"])
    source, target = Path(request["source"]), Path(request["target"])
    tensor_types = [(pattern, name) for pattern, name in request["tensor_types"]]
    imatrix = (
        None if request["imatrix"] is None else read_imatrix(Path(request["imatrix"]))
    )

    params = engine.llama_model_quantize_default_params()
    params.ftype = file_type_id(label)
    params.nthread = int(request["n_threads"])
    params.allow_requantize = bool(request["requantize"])
    # Named, so that they live as long as the engine may read them.
    metadata = _metadata(engine, _keys(request, imatrix))
    overrides = _type_overrides(engine, tensor_types)
    importance = _importance(engine, imatrix)
    params.kv_overrides = metadata
    params.tt_overrides = overrides
    params.imatrix = importance

    # llama.cpp says "iostream error" when the disk is full, so look first.
    params.dry_run = True
    header = read_header(source)
    plan = read_plan(_run(engine, request, params, no_progress), header)
    check_types(plan, tensor_types)
    check_imatrix(plan, imatrix, label)
    tensors = sum(tensor.n_bytes for tensor in plan)
    require_free(header.data_offset + tensors, target.parent)
    params.dry_run = False
    _run(engine, request, params, on_progress)
    return {}


def _run(
    engine: Any, request: Mapping[str, Any], params: Any, on_progress: OnProgress
) -> str:
    """Call the engine, report its tensors, and return what it logged."""
    label = str(request["quant"])

    def report(line: str) -> None:
        if found := _TENSOR_LINE.search(line):
            done, total = map(int, found.groups())
            on_progress(Progress(f"quantizing {label}", done, total, "tensors"))

    with logs.captured(on_line=report) as lines:
        failed = engine.llama_model_quantize(
            str(request["source"]).encode(),
            str(request["target"]).encode(),
            ctypes.byref(params),
        )
    if failed:
        told = "; ".join(logs.errors(lines)) or "no reason given"
        msg = f"llama.cpp made no {label}: {told}"
        raise QuantizeFailed(msg, hint="check the free disk space and the source file")
    return "".join(line for _, line in lines)


def _keys(
    request: Mapping[str, Any], imatrix: Imatrix | None
) -> list[tuple[str, str | int]]:
    """Return the metadata to write: ours, then what llama-quantize writes.

    The matrix's file by its name alone: where it lay is nobody's business.
    """
    keys: list[tuple[str, str | int]] = []
    if request["lossy_origin"] is not None:
        keys.append(("localkit.lossy_origin", request["lossy_origin"]))
    if imatrix is not None:
        keys.append(("quantize.imatrix.file", Path(request["imatrix"]).name))
        if imatrix.datasets:
            keys.append(("quantize.imatrix.dataset", imatrix.datasets[0]))
        keys.append(("quantize.imatrix.entries_count", len(imatrix.entries)))
        if imatrix.n_chunks:
            keys.append(("quantize.imatrix.chunks_count", imatrix.n_chunks))
    return keys


def _metadata(engine: Any, keys: Sequence[tuple[str, str | int]]) -> Any:
    """Return the keys as llama.cpp takes them; an empty one ends the list."""
    overrides = (engine.llama_model_kv_override * (len(keys) + 1))()
    for override, (key, value) in zip(overrides, keys, strict=False):
        override.key = key.encode()
        if isinstance(value, int):
            override.tag = engine.LLAMA_KV_OVERRIDE_TYPE_INT
            override.value.val_i64 = value
        else:
            override.tag = engine.LLAMA_KV_OVERRIDE_TYPE_STR
            whole = value.encode()[:_MOST_TEXT].decode(errors="ignore")
            override.value.val_str = whole.encode()
    return overrides


def _type_overrides(engine: Any, tensor_types: Sequence[tuple[str, str]]) -> Any:
    """Return the patterns with their types; None ends the list."""
    if not tensor_types:
        return None
    ids = {type_.name.lower(): id_ for id_, type_ in WEIGHT_TYPES.items()}
    overrides = (engine.llama_model_tensor_override * (len(tensor_types) + 1))()
    for override, (pattern, name) in zip(overrides, tensor_types, strict=False):
        override.pattern = pattern.encode()
        override.type = ids[name.lower()]
    return overrides


def _importance(engine: Any, imatrix: Imatrix | None) -> Any:
    """Return each weight's mean squares; an entry without a name ends the list."""
    if imatrix is None:
        return None
    data = (engine.llama_model_imatrix_data * (len(imatrix.entries) + 1))()
    for entry, (name, importance) in zip(data, imatrix.entries.items(), strict=False):
        means = importance.means()
        floats = (ctypes.c_float * means.size).from_buffer_copy(means.tobytes())
        entry.name = name.encode()
        entry.data = floats  # ctypes keeps what is assigned to a pointer field
        entry.size = means.size
    return data
