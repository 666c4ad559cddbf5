"""Copies in other quants, and importance matrices for them: methods of `Kit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.store.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.store import ModelRef, Store
    from localkit.store.create import CreateReceipt


class HasStore(Protocol):
    """What the functions here need of a kit."""

    store: Store


def quantize(
    kit: HasStore,
    ref: str | ModelRef,
    quant: str,
    *,
    name: str | ModelRef | None = None,
    allow_requantize: bool = False,
    imatrix: Path | None = None,
    tensor_types: Sequence[tuple[str, str]] = (),
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Make a file of another quant and put it beside its source.

    It brings along what the source does: instructions, parameters, adapters.
    The new model's ref is ``name``, by default the source's with `copy_tag`.
    ``imatrix`` is the file of an importance matrix; ``tensor_types`` gives
    tensors whose names match a pattern a type of their own.

    Raises:
        ModelNotFound: no such ref.
        GGUFError: ``imatrix`` is no importance matrix.
        QuantizeFailed: unknown file type, a quantized source without
            ``allow_requantize``, an importance matrix that is missing or of
            another model, or a pattern without effect.
        DiskFull: no room for the new file; nothing is left behind.
    """
    from localkit.runtime.quantize import quantize_file

    source = kit.store.resolve(ref)
    target = name or source.ref.with_tag(
        copy_tag(quant, imatrix=imatrix is not None, mixed=bool(tensor_types))
    )
    with kit.store.staging(".gguf") as staged:
        quantize_file(
            source.weights,
            staged,
            quant,
            name=str(source.ref),
            allow_requantize=allow_requantize,
            imatrix=imatrix,
            tensor_types=tensor_types,
            on_progress=on_progress,
            cancel=cancel,
        )
        copy = Recipe(staged, base=source)
        return kit.store.create(target, copy, on_progress=on_progress, cancel=cancel)


def imatrix(
    kit: HasStore,
    ref: str | ModelRef,
    text: str,
    *,
    dataset: str = "text",
    n_chunks: int | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Return the file of an importance matrix of ``ref``, made from ``text``.

    It lies in the cache: the same again costs nothing. ``dataset`` is what the
    file calls the text, and ``n_chunks`` the most of it, in chunks of 512
    tokens, that is read.

    Raises:
        ModelNotFound: no such ref.
        QuantizeFailed: the text is too short.
        Unsupported: the model is an encoder.
        DoesNotFit: memory would not hold it.
    """
    from localkit.runtime.imatrix.kept import kept_imatrix

    source = kit.store.resolve(ref)
    return kept_imatrix(
        source.weights,
        text,
        digest=source.weights_digest,
        dataset=dataset,
        n_chunks=n_chunks,
        on_progress=on_progress,
        cancel=cancel,
    )


def copy_tag(quant: str, *, imatrix: bool = False, mixed: bool = False) -> str:
    """Return the tag of a copy in ``quant`` when nobody names one.

    What is made otherwise than usual does not take the usual copy's place:
    ``q3_k_m-imatrix``, and ``q3_k_m-mixed`` with types of its own.
    """
    suffixes = ("-imatrix" if imatrix else "", "-mixed" if mixed else "")
    return f"{quant.lower()}{''.join(suffixes)}"
