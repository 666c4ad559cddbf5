"""The Modelfile of a model in the store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localkit.errors import ModelfileInvalid
from localkit.store.manifest import PROJECTOR_TYPE
from localkit.store.modelfile import parameters
from localkit.store.modelfile.modelfile import Modelfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.store.stored import StoredModel


def modelfile_of(
    stored: StoredModel,
    *,
    sources: Sequence[str] | None = None,
    adapters: Sequence[str] | None = None,
    draft: str | None = None,
) -> Modelfile:
    """Return what would make ``stored`` again.

    Args:
        stored: The model.
        sources: What to say for weights and projectors, by default their blobs.
        adapters: …for adapters.
        draft: …for the draft model.

    Raises:
        ManifestInvalid, BlobCorrupt: a layer is damaged.
    """
    params, _ = _split_params(stored)
    files = [stored.weights, *_projectors(stored)]
    config = stored.config
    return Modelfile(
        sources=tuple(map(str, files) if sources is None else sources),
        params=params,
        template=stored.template,
        system=stored.system,
        adapters=tuple(map(str, stored.adapters) if adapters is None else adapters),
        licences=stored.licences,
        messages=tuple(dict(one) for one in stored.messages),
        draft=draft or (None if stored.draft is None else str(stored.draft)),
        renderer=config.renderer or None,
        parser=config.parser or None,
        requires=config.requires or None,
    )


def emit(
    stored: StoredModel,
    *,
    sources: Sequence[str] | None = None,
    adapters: Sequence[str] | None = None,
    draft: str | None = None,
) -> str:
    """Return the text of `modelfile_of`, under a comment that says what it is.

    Raises:
        ManifestInvalid, BlobCorrupt: a layer is damaged.
        ModelfileInvalid: a text of the model cannot stand in a Modelfile.
    """
    made = modelfile_of(stored, sources=sources, adapters=adapters, draft=draft)
    ref = stored.ref.with_tag(stored.ref.tag)
    lines = [f"# Modelfile of {ref}, {stored.digest}"]
    if sources is None:
        lines += ["# To build a variant of it, replace FROM with:", f"# FROM {ref}"]
    _, unknown = _split_params(stored)
    lines += [
        f"# PARAMETER {_plain(name)} {json.dumps(value)[:200]} is not known here"
        for name, value in unknown.items()
    ]
    return "\n".join([*lines, "", str(made)])


def _split_params(
    stored: StoredModel,
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the parameters that a Modelfile can say, and the others."""
    said: dict[str, object] = {}
    others: dict[str, object] = {}
    for name, value in stored.params.items():
        try:
            said[name] = parameters.checked(name, _as_kind(name, value))
        except ModelfileInvalid:
            others[name] = value
    return said, others


def _as_kind(name: str, value: object) -> object:
    """Return an integer that JSON of another program has as a float."""
    known = parameters.PARAMETERS.get(name)
    if known is not None and known.kind == "integer" and isinstance(value, float):
        return int(value) if value.is_integer() else value
    return value


def _projectors(stored: StoredModel) -> list[object]:
    return [
        stored.layout.blob(layer.digest)
        for layer in stored.manifest.of_type(PROJECTOR_TYPE)
    ]


def _plain(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name[:60])
