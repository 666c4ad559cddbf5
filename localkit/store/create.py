"""Make a model of a recipe: weights, and what goes with them.

Layers that a base has keep their digests, so nothing but texts is written for a
variant. Order and form are those of Ollama's ``server/create.go``: what is
inherited in its order, then adapters, draft, template, system, licences, params
and messages, where each takes the place of what the base has of its kind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import AdapterInvalid, ModelfileInvalid, RefError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import preflight, read_header
from localkit.gguf.projector import check_projector
from localkit.gguf.read import model_info
from localkit.io.disk import explained_write_errors
from localkit.io.regular import open_regular
from localkit.store import manifest as kinds
from localkit.store.commit import NewBlob, commit
from localkit.store.config_blob import Draft, config_of
from localkit.store.go_json import go_json
from localkit.store.manifest import Layer, Manifest
from localkit.store.modelfile.grammar import ROLES
from localkit.store.modelfile.parameters import checked_all
from localkit.store.names import default_ref, quant_tag
from localkit.store.resolve import resolve_entry
from localkit.store.stored import StoredModel
from localkit.store.taking import (
    AddMethod,
    Source,
    Taken,
    source_path,
    take_bytes,
    take_source,
)
from localkit.store.writing import remove_abandoned, staging_area

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.gguf.info import ModelInfo
    from localkit.store.layout import Layout
    from localkit.store.recipe import Recipe
    from localkit.store.ref import ModelRef


@dataclass(frozen=True, slots=True)
class CreateReceipt:
    """What making a model did."""

    model: StoredModel
    method: AddMethod
    """How the bytes of the weights came: ``present`` when the store had them. After
    ``hardlink`` the file is one with the store's: replace it, never write into it.
    """
    size: int
    """Bytes of the weights."""
    new: int
    """Bytes of the blobs that the store did not have."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What in the recipe had no effect, and why."""


def create(
    layout: Layout,
    ref: ModelRef | None,
    recipe: Recipe,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> CreateReceipt:
    """Make ``recipe`` the model that ``ref`` means, replacing what had the ref.

    Without ``ref`` it is named after the file of its weights. Without a tag, the tag
    is ``latest`` for a variant of a stored model, else the quant in the header.

    Raises:
        SourceNotFound: there is no plain file where the recipe says.
        GGUFError: a file is no model or projector that may be loaded.
        AdapterInvalid: a file is no adapter, or one for another architecture.
        ModelfileInvalid: a parameter is unknown or out of range.
        RefError: ``ref`` pins a digest.
        ManifestInvalid, BlobCorrupt: the base is damaged.
        DiskFull: it does not fit; the store is as it was.
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written, or a file changed meanwhile.
        Cancelled: ``cancel`` was raised; the store is as it was.
    """
    started = time.perf_counter()
    if ref is not None and ref.digest is not None:
        raise RefError(
            f"'{ref}' names a digest, which what is made decides",
            hint=f"add it as {ref.with_tag(ref.tag)}",
        )
    info = _checked(layout, recipe)
    if ref is None:
        ref = default_ref(info.path, info)
    default_tag = "latest" if recipe.inherits_from else quant_tag(info)
    ref = ref.with_tag(ref.tag or default_tag)
    remove_abandoned(layout)
    with staging_area(layout) as area:
        making = _Making(layout, area, on_progress, cancel)
        with explained_write_errors(_size_of_files(recipe), layout.root):
            manifest = _manifest(making, recipe, info)
        purpose = f"adding {ref}"
        new = [taken.blob for taken in making.taken]
        entry = commit(
            layout, ref, manifest.encode(), new, purpose=purpose, cancel=cancel
        )
        weights = manifest.of_type(kinds.MODEL_TYPE)[0]
        return CreateReceipt(
            model=resolve_entry(layout, entry),
            method=_method(making, weights.digest),
            size=weights.size,
            new=sum(taken.blob.size for taken in making.taken if taken.was_new),
            seconds=time.perf_counter() - started,
            notes=recipe.notes,
        )


def _size_of_files(recipe: Recipe) -> int:
    sources = (recipe.weights, *recipe.projectors, *recipe.adapters, recipe.draft)
    return sum(one.stat().st_size for one in sources if isinstance(one, Path))


def _method(making: _Making, digest: str) -> AddMethod:
    """Return how the weights came; another process may have been first."""
    for taken in making.taken:
        if taken.blob.digest == digest and taken.was_new:
            return taken.method
    return "present"


class _Making:
    """Blobs that a model in the making needs."""

    def __init__(
        self,
        layout: Layout,
        area: Path,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> None:
        self.layout = layout
        self._area = area
        self._on_progress = on_progress
        self._cancel = cancel
        self.taken: list[Taken] = []

    def file(self, media_type: str, source: Source) -> Layer:
        """Take a file over; return its layer."""
        taken = take_source(
            self.layout,
            source,
            self._area / f"file-{len(self.taken)}",
            on_progress=self._on_progress,
            cancel=self._cancel,
        )
        return self._add(media_type, taken)

    def data(self, media_type: str, data: bytes) -> Layer:
        """Write a small blob; return its layer."""
        return self._add(media_type, Taken(take_bytes(data, self._area), "copy"))

    def _add(self, media_type: str, taken: Taken) -> Layer:
        known: dict[str, NewBlob] = {one.blob.digest: one.blob for one in self.taken}
        if taken.blob.digest not in known:
            self.taken.append(taken)
        return Layer(
            media_type=media_type, digest=taken.blob.digest, size=taken.blob.size
        )


def _manifest(making: _Making, recipe: Recipe, info: ModelInfo) -> Manifest:
    try:
        return _made(making, recipe, info)
    except UnicodeEncodeError as error:
        raise ModelfileInvalid(
            "a text of the model holds half a surrogate pair",
            hint="clean it: text.encode('utf-8', 'replace').decode()",
        ) from error


def _made(making: _Making, recipe: Recipe, info: ModelInfo) -> Manifest:
    layers = _Layers(recipe.inherits_from)
    if not isinstance(recipe.weights, StoredModel):
        weights = making.file(kinds.MODEL_TYPE, recipe.weights)
        layers.put_first(weights.model_copy(update={"from_": _origin(recipe)}))
    if recipe.projectors:
        layers.replace(
            kinds.PROJECTOR_TYPE,
            [making.file(kinds.PROJECTOR_TYPE, one) for one in recipe.projectors],
        )
    for adapter in recipe.adapters:
        layers.append(making.file(kinds.ADAPTER_TYPE, adapter))
    if recipe.draft is not None:
        layers.replace(kinds.DRAFT_TYPE, [making.file(kinds.DRAFT_TYPE, recipe.draft)])
    for media_type, text in (
        (kinds.TEMPLATE_TYPE, recipe.template),
        (kinds.SYSTEM_TYPE, recipe.system),
    ):
        if text is not None:
            given = [making.data(media_type, text.encode())] if text else []
            layers.replace(media_type, given)
    for licence in _licences(recipe, info):
        layers.append(making.data(kinds.LICENCE_TYPE, licence.encode()))
    params = _params(recipe)
    if params:
        data = go_json(dict(sorted(params.items())))
        layers.replace(kinds.PARAMS_TYPE, [making.data(kinds.PARAMS_TYPE, data)])
    if recipe.messages:
        data = go_json([_message(one) for one in recipe.messages])
        layers.replace(kinds.MESSAGES_TYPE, [making.data(kinds.MESSAGES_TYPE, data)])
    config = config_of(
        info,
        tuple(layer.digest for layer in layers.all),
        **_config_fields(making, recipe, layers),
    )
    return Manifest(
        config=making.data(kinds.CONFIG_TYPE, config.encode()),
        layers=tuple(layers.all),
    )


def _origin(recipe: Recipe) -> str | None:
    """Return what weights of their own were taken from, as Ollama notes it.

    It is what tells a template that was written for this model from one that came
    with the weights. The file's name alone: folders are nobody's business.
    """
    if recipe.base is not None:
        return _parent(recipe.base)
    if not recipe.template or isinstance(recipe.weights, StoredModel):
        return None
    return Path(recipe.weights).name


def _parent(base: StoredModel) -> str:
    """Return the base as Ollama shows it: the model's parent."""
    return str(base.ref.with_tag(base.ref.tag))


class _Layers:
    """Layers in the order in which they will stand."""

    def __init__(self, base: StoredModel | None) -> None:
        self.all: list[Layer] = []
        if base is not None:
            # A template that was written over the GGUF's own stays so in variants.
            keeps = base.manifest.has_own_template
            self.all = [
                layer
                if keeps and layer.media_type in kinds.TEMPLATE_TYPES
                else layer.model_copy(update={"from_": _parent(base)})
                for layer in base.manifest.layers or ()
            ]

    def put_first(self, weights: Layer) -> None:
        """Put weights in the place of the base's, or first."""
        at = next(
            (i for i, one in enumerate(self.all) if one.media_type == kinds.MODEL_TYPE),
            None,
        )
        if at is None:
            self.all.insert(0, weights)
        else:
            self.all[at] = weights

    def append(self, layer: Layer) -> None:
        """Put a layer last, unless the same one is there."""
        known = {(one.media_type, one.digest) for one in self.all}
        if (layer.media_type, layer.digest) not in known:
            self.all.append(layer)

    def replace(self, media_type: str, layers: list[Layer]) -> None:
        """Put layers last, and take away those of their kind."""
        gone = {media_type}
        if media_type == kinds.TEMPLATE_TYPE:
            gone.add(kinds.OLD_TEMPLATE_TYPE)
        self.all = [one for one in self.all if one.media_type not in gone]
        self.all += layers


def _checked(layout: Layout, recipe: Recipe) -> ModelInfo:
    """Refuse what is no plain file or would not load, before anything is written."""
    if isinstance(recipe.weights, StoredModel):
        info = recipe.weights.info
    else:
        path = source_path(layout, recipe.weights)
        open_regular(path).close()
        header = read_header(path)
        preflight.check(header)
        info = model_info(header, path)
    for source in recipe.projectors:
        open_regular(source_path(layout, source)).close()
        check_projector(source_path(layout, source))
    for source in recipe.adapters:
        _check_adapter(source_path(layout, source), info)
    if recipe.draft is not None:
        open_regular(source_path(layout, recipe.draft)).close()
        preflight.check(source_path(layout, recipe.draft))
    return info


def _check_adapter(path: Path, info: ModelInfo) -> None:
    open_regular(path).close()
    values = read_header(path).kv
    kind, made_for = values.get("general.type"), values.get("general.architecture")
    if kind != "adapter":
        raise AdapterInvalid(
            f"{path.name} is not an adapter: its general.type is {kind!r}",
            hint="give a LoRA adapter in GGUF: llama.cpp's convert_lora_to_gguf.py "
            "makes one",
        )
    if made_for != info.architecture:
        raise AdapterInvalid(
            f"{path.name} is an adapter for {made_for!r}, and the model is "
            f"'{info.architecture}'",
            hint="take an adapter made for this very model",
        )


def _licences(recipe: Recipe, info: ModelInfo) -> tuple[str, ...]:
    """Return the licences to add: the header's where nobody names one."""
    if recipe.licences or recipe.inherits_from is not None or not info.licence:
        return recipe.licences
    return (info.licence,)


def _params(recipe: Recipe) -> Mapping[str, Any]:
    if not recipe.params:
        return {}
    base = recipe.inherits_from
    given = checked_all(recipe.params)
    return {**({} if base is None else base.params), **given}


def _message(message: Mapping[str, str]) -> dict[str, str]:
    role, content = (message.get(key) for key in ("role", "content"))
    if role not in ROLES or not isinstance(content, str):
        raise ModelfileInvalid(
            f"a message has the role {role!r} and {len(message)} fields",
            hint=f"give role ({', '.join(ROLES)}) and content, a text, of each",
        )
    return {"role": role, "content": content}


def _config_fields(making: _Making, recipe: Recipe, layers: _Layers) -> dict[str, Any]:
    base = recipe.inherits_from
    found: dict[str, Any] = {}
    for name in ("renderer", "parser", "requires"):
        value = getattr(recipe, name) or (base and getattr(base.config, name))
        if value:
            found[name] = value
    if base is not None and base.config.capabilities:
        found["capabilities"] = base.config.capabilities
    drafts = [one for one in layers.all if one.media_type == kinds.DRAFT_TYPE]
    if drafts:
        draft = recipe.draft or drafts[0].digest
        header = read_header(source_path(making.layout, draft))
        architecture = str(header.kv.get("general.architecture", ""))
        found["draft"] = Draft(architecture=architecture)
    return found
