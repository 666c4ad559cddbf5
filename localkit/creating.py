"""Models made of a recipe: a Modelfile, or keyword arguments that say the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import ModelfileInvalid, TemplateError, UsageError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.kit import Kit, default_kit
from localkit.store.modelfile.modelfile import Modelfile, parse
from localkit.store.modelfile.parameters import checked_all
from localkit.store.stored import StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.store import CreateReceipt, ModelRef
    from localkit.store.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Quantization:
    """What to make of the weights on the way in."""

    quant: str
    """A file type: ``Q4_K_M``."""
    imatrix: Path | None = None
    """File of an importance matrix."""
    tensor_types: tuple[tuple[str, str], ...] = ()
    """(pattern, type): tensors whose names match get a type of their own."""
    allow_requantize: bool = False
    """Whether the weights may be quantized already; the loss of both adds up."""


def create(
    name: str | ModelRef,
    from_: str | Path | None = None,
    *,
    modelfile: str | Path | Modelfile | None = None,
    system: str | None = None,
    template: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    messages: Sequence[Mapping[str, str]] = (),
    adapters: Sequence[str | Path] = (),
    licences: str | Sequence[str] = (),
    draft: str | Path | None = None,
    quantize: str | Quantization | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Make a model of the default kit's store: a variant of one, or of files.

    ``localkit.create("pirate", "smollm2", system="Talk like a pirate.")``. Nothing is
    copied: a variant shares its weights with what it was made from.

    Args:
        name: What to call it; ``latest`` where there is no tag.
        from_: Ref of a stored model, path of a GGUF, or folder of weights.
        modelfile: Path of a Modelfile, its text, or what `parse` returned; the other
            arguments go over it.
        system: Instructions to use where a conversation brings none; an empty text
            takes the base's away.
        template: Go template, as Ollama's.
        parameters: By Ollama's names: ``{"temperature": 0, "num_ctx": 8192}``.
        messages: Put before every conversation, each with ``role`` and ``content``.
        adapters: LoRA adapters in GGUF.
        licences: Texts or names.
        draft: GGUF of a smaller model, or ref of one, that guesses tokens ahead.
        quantize: File type to make of the weights.
        on_progress: Told how far it is.
        cancel: Stops it.

    Raises:
        UsageError: neither ``from_`` nor ``modelfile`` says what to start from.
        ModelfileInvalid: the Modelfile, or a parameter, is wrong; says where.
        ModelNotFound, SourceNotFound: what it starts from is not there.
        GGUFError, AdapterInvalid: a file cannot be used.
        QuantizeFailed: the file type cannot be made.
        DiskFull, StoreLocked, StoreError, Cancelled: the store is as it was.
    """
    folder = Path()
    if isinstance(modelfile, Path):
        folder, modelfile = modelfile.parent, read_modelfile(modelfile)
    elif isinstance(modelfile, str):
        modelfile = parse(modelfile)
    said = Modelfile(
        sources=() if from_ is None else (_written(from_),),
        params=checked_all(parameters or {}),
        template=template,
        system=system,
        # Those beside a Modelfile lie elsewhere.
        adapters=tuple(str(Path(one).absolute()) for one in adapters),
        licences=(licences,) if isinstance(licences, str) else tuple(licences),
        messages=tuple(messages),
        draft=None if draft is None else _written(draft),
    )
    whole = said if modelfile is None else put_over(modelfile, said)
    if not whole.sources:
        msg = f"nothing says what to make '{name}' from"
        raise UsageError(msg, hint="give from_=, a stored model or a file")
    if isinstance(quantize, str):
        quantize = Quantization(quantize)
    return create_from(
        default_kit(),
        name,
        whole,
        folder=folder,
        quantization=quantize,
        on_progress=on_progress,
        cancel=cancel,
    )


def create_from(
    kit: Kit,
    name: str | ModelRef,
    modelfile: Modelfile,
    *,
    folder: Path,
    quantization: Quantization | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Make what a Modelfile says, with its relative paths beginning in ``folder``.

    Raises:
        As `create`.
    """
    from localkit.store.modelfile.resolving import recipe_of

    if modelfile.template:
        _check_template(modelfile.template)
    with recipe_of(
        kit.store.layout,
        modelfile,
        folder=folder,
        find=kit.resolve,
        on_progress=on_progress,
        cancel=cancel,
    ) as recipe:
        weights, called = _weights(kit, recipe)
        if quantization is None or _is_already(weights, quantization):
            if quantization is not None:
                note = f"the weights are {quantization.quant.upper()} already"
                recipe = replace(recipe, notes=(*recipe.notes, note))
            return kit.store.create(
                name, recipe, on_progress=on_progress, cancel=cancel
            )
        from localkit.runtime.quantize import quantize_file

        with kit.store.staging() as staged:
            quantize_file(
                weights,
                staged,
                quantization.quant,
                name=called,
                allow_requantize=quantization.allow_requantize,
                imatrix=quantization.imatrix,
                tensor_types=quantization.tensor_types,
                on_progress=on_progress,
                cancel=cancel,
            )
            made = replace(recipe, weights=staged, base=recipe.inherits_from)
            return kit.store.create(name, made, on_progress=on_progress, cancel=cancel)


def read_modelfile(path: Path) -> Modelfile:
    """Read the Modelfile at ``path``.

    Raises:
        SourceNotFound: there is no plain file.
        ModelfileInvalid: it breaks the grammar; names the line.
    """
    from localkit.io.regular import open_regular
    from localkit.store.modelfile.grammar import MAX_SIZE

    with open_regular(path) as stream:
        return parse(stream.read(MAX_SIZE + 1) or b"")


def put_over(modelfile: Modelfile, over: Modelfile) -> Modelfile:
    """Return ``modelfile`` with what ``over`` says in the place of its own."""
    said = {
        name: value
        for name, value in vars(over).items()
        if name not in ("params", "notes") and value not in (None, ())
    }
    params = {**modelfile.params, **over.params}
    return replace(modelfile, **said, params=params)


def _check_template(source: str) -> None:
    from localkit.chat.go.template import GoTemplate

    try:
        _ = GoTemplate(source).parsed
    except TemplateError as error:
        hint = "write it in Go's text/template, as Ollama's are"
        raise ModelfileInvalid(f"TEMPLATE: {error}", hint=hint) from error


def _weights(kit: Kit, recipe: Recipe) -> tuple[Path, str]:
    """Return the file to quantize, and what errors call it."""
    weights = recipe.weights
    if isinstance(weights, StoredModel):
        return weights.weights, str(weights.ref)
    path = kit.store.layout.blob(weights) if isinstance(weights, str) else weights
    return path, path.name


def _is_already(weights: Path, wanted: Quantization) -> bool:
    own = wanted.imatrix is not None or wanted.tensor_types
    return not own and read_info(weights).quant == wanted.quant.upper()


def _written(source: str | Path) -> str:
    """Return a source as a Modelfile names it; a `Path` can only mean a file."""
    return str(source.absolute()) if isinstance(source, Path) else source
