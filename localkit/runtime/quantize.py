"""Make a file of another quant from a GGUF file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from localkit.errors import QuantizeFailed
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.gguf.imatrix import read_imatrix
from localkit.gguf.preflight import check
from localkit.gguf.types import FILE_TYPES, WEIGHT_TYPES, nominal_bits
from localkit.runtime import library
from localkit.runtime.isolation.child import run_in_child
from localkit.runtime.pacing import threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.gguf.info import ModelInfo

FULL_PRECISION = ("F32", "F16", "BF16")
_NO_WEIGHTS: Final = {"q8_1", "q8_K", "i8", "i16", "i32", "i64", "f64"}
"""Types of intermediate results and tables; llama.cpp aborts when asked for them."""


def file_types() -> tuple[str, ...]:
    """Return every quant label that the installed engine has a constant for."""
    engine = library.library()
    offered = {
        value
        for name, value in vars(engine).items()
        if name.startswith(("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_"))
    }
    return tuple(label for number, label in FILE_TYPES.items() if number in offered)


def tensor_type_names() -> tuple[str, ...]:
    """Return every weight type that a tensor can be made of."""
    names = {type_.name for type_ in WEIGHT_TYPES.values()} - _NO_WEIGHTS
    return tuple(sorted(names, key=str.lower))


def quantize_file(
    source: Path,
    target: Path,
    quant: str,
    *,
    name: str = "",
    allow_requantize: bool = False,
    imatrix: Path | None = None,
    tensor_types: Sequence[tuple[str, str]] = (),
    n_threads: int | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> ModelInfo:
    """Write ``source`` as ``quant`` to ``target``, in a child process.

    A quantized source is refused unless ``allow_requantize``: the loss of both
    quants adds up. Then the file carries ``localkit.lossy_origin``, and so does
    everything made from it.

    Args:
        source: The GGUF to read.
        target: The file to write.
        quant: A file type, in any case: ``Q4_K_M``.
        name: What errors call the source, by default its file's name: in a store
            that is a digest.
        allow_requantize: Whether ``source`` may be quantized already.
        imatrix: File of an importance matrix made from this model. The new file
            says so in ``quantize.imatrix.…``, as llama-quantize's.
        tensor_types: Pattern and type: ``("ffn_down", "Q6_K")`` for every tensor
            whose name the pattern is found in. The first pattern that matches
            decides.
        n_threads: Threads that quantize; default: chosen from what is free.
        on_progress: Told before each tensor.
        cancel: Ends the child.

    Returns:
        What the new file says about itself.

    Raises:
        GGUFError: the source is no model that may be loaded, or ``imatrix`` is no
            importance matrix.
        QuantizeFailed: no such type, a quantized source, a matrix that is missing
            or of another model, a pattern without effect, or llama.cpp refused.
        DiskFull: no room for the new file.
        Cancelled: ``cancel`` was raised; nothing is left behind.
        WorkerDied: the child crashed; nothing is left behind.
    """
    check(source)
    info = read_info(source)
    label = _known_label(quant)
    for pattern, type_name in tensor_types:
        _check_override(pattern, type_name)
    if imatrix is not None:
        read_imatrix(imatrix)
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
        "imatrix": None if imatrix is None else str(imatrix),
        "tensor_types": [list(override) for override in tensor_types],
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


def _check_override(pattern: str, type_name: str) -> None:
    """Refuse a type or a pattern before the work begins.

    llama.cpp reads patterns by ECMAScript's rules; what both understand the same
    way is all that a tensor's name needs.
    """
    known = tensor_type_names()
    if type_name.lower() not in {name.lower() for name in known}:
        msg = f"'{type_name}' is no type that a tensor can be made of"
        raise QuantizeFailed(msg, hint=f"give one of {', '.join(known)}")
    try:
        re.compile(pattern)
    except re.error as error:
        msg = f"the pattern '{pattern}' is no regular expression: {error}"
        raise QuantizeFailed(msg, hint="give a part of a tensor's name") from error
    if not pattern:
        msg = "an empty pattern would match every tensor"
        raise QuantizeFailed(msg, hint="give a part of a tensor's name, or '.*'")


def _lossy_origin(info: ModelInfo) -> str | None:
    """Return the coarsest quant that the weights have been through."""
    been = {info.quant, info.lossy_origin or info.quant} - set(FULL_PRECISION)
    return min(been, key=nominal_bits, default=None)
