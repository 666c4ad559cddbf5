"""Make a file of another quant from a GGUF file."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import QuantizeFailed
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf import read_info
from localkit.gguf.preflight import check
from localkit.gguf.types import FILE_TYPES, file_type_id, nominal_bits
from localkit.io.disk import require_free
from localkit.runtime import library, logs
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.pacing import threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.info import ModelInfo

FULL_PRECISION = ("F32", "F16", "BF16")
_TENSOR_LINE = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
_SIZE_LINE = re.compile(r"quant size\s*=\s*([\d.]+) MiB")


def file_types() -> tuple[str, ...]:
    """Return every quant label that the installed engine has a constant for."""
    engine = library.library()
    offered = {
        value
        for name, value in vars(engine).items()
        if name.startswith(("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_"))
    }
    return tuple(label for number, label in FILE_TYPES.items() if number in offered)


def quantize_file(
    source: Path,
    target: Path,
    quant: str,
    *,
    name: str = "",
    allow_requantize: bool = False,
    n_threads: int | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> ModelInfo:
    """Write ``source`` as ``quant`` to ``target``, in a child process.

    A quantized source is refused unless ``allow_requantize``: the loss of both
    quants adds up. Then the file carries ``localkit.lossy_origin``, and so does
    everything made from it. ``name`` is what errors call the source, by default
    its file's name: in a store that is a digest.

    Returns:
        What the new file says about itself.

    Raises:
        GGUFError: the source is no model that may be loaded.
        QuantizeFailed: no such file type, a quantized source, or llama.cpp refused.
        DiskFull: no room for the new file.
        Cancelled: ``cancel`` was raised; nothing is left behind.
        WorkerDied: the child crashed; nothing is left behind.
    """
    check(source)
    info = read_info(source)
    label = _known_label(quant)
    requantizes = info.quant not in FULL_PRECISION
    if requantizes and not allow_requantize:
        msg = (
            f"{name or source.name} is {info.quant} already; {label} would add its loss"
        )
        hint = "quantize from F16, or say allow_requantize=True (--requantize)"
        raise QuantizeFailed(msg, hint=hint)
    request = {
        "source": str(source),
        "target": str(target),
        "quant": label,
        "requantize": requantizes,
        "lossy_origin": _lossy_origin(info),
        "n_threads": n_threads or threads.choose_threads(),
    }
    try:
        run_in_child("quantize", request, on_progress=on_progress, cancel=cancel)
        return read_info(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _known_label(quant: str) -> str:
    label = quant.upper()
    if label not in file_types():
        msg = f"'{quant}' is no file type of this engine"
        raise QuantizeFailed(msg, hint=f"give one of {', '.join(file_types())}")
    return label


def _lossy_origin(info: ModelInfo) -> str | None:
    """Return the coarsest quant that the weights have been through."""
    been = {info.quant, info.lossy_origin or info.quant} - set(FULL_PRECISION)
    return min(been, key=nominal_bits, default=None)


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Quantize; runs in the child."""
    engine = library.library()
    label = str(request["quant"])
    params = engine.llama_model_quantize_default_params()
    params.ftype = file_type_id(label)
    params.nthread = int(request["n_threads"])
    params.allow_requantize = bool(request["requantize"])
    overrides = _metadata(engine, request["lossy_origin"])
    params.kv_overrides = overrides
    target = Path(str(request["target"]))
    # llama.cpp says "iostream error" when the disk is full, so look first.
    params.dry_run = True
    planned = _SIZE_LINE.search(_run(engine, request, params, no_progress))
    require_free(round(float(planned[1]) * 2**20) if planned else 0, target.parent)
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
        raise _refusal(label, lines)
    return "".join(line for _, line in lines)


def _metadata(engine: Any, lossy_origin: str | None) -> Any:
    """Return the key to write, then the empty key that ends the list."""
    overrides = (engine.llama_model_kv_override * 2)()
    if lossy_origin is not None:
        overrides[0].tag = engine.LLAMA_KV_OVERRIDE_TYPE_STR
        overrides[0].key = b"localkit.lossy_origin"
        overrides[0].value.val_str = lossy_origin.encode()
    return overrides


def _refusal(label: str, lines: list[tuple[int, str]]) -> QuantizeFailed:
    text = "".join(line for _, line in lines)
    if "importance matrix" in text or "imatrix" in text:
        msg = f"{label} needs an importance matrix, and none was given"
        return QuantizeFailed(msg, hint="take a type of 3 bits or more, such as Q3_K_M")
    told = "; ".join(logs.errors(lines)) or "no reason given"
    msg = f"llama.cpp made no {label}: {told}"
    return QuantizeFailed(msg, hint="check the free disk space and the source file")
