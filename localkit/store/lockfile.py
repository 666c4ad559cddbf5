"""``localkit.lock``: what refs stood for when they were pinned, in a text file.

TOML, one block a model in the order of their names, so that a change is a few
lines in a diff; nothing in it depends on the machine that wrote it::

    version = 1

    [engine]
    build = "llama-cpp-python 0.3.36 (llama.cpp 0.5.0-dev)"
    features = "AVX AVX2 F16C FMA"

    [[model]]
    ref = "smollm2-135m-instruct:q4_1"
    digest = "sha256:…"
    blobs = [
      { digest = "sha256:…", size = 483, media_type = "application/vnd.…" },
    ]

It lies in the folder of a project and counts there and in every folder below:
the nearest one from the current folder upwards is taken, as far as the home
folder or the root.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
)

from localkit.errors import RefError, SourceNotFound, StoreError
from localkit.io.atomic import write_atomic
from localkit.io.disk import explained_write_errors
from localkit.io.regular import open_regular
from localkit.store.manifest import MAX_BLOB_SIZE, Digest
from localkit.store.ref import ModelRef

if TYPE_CHECKING:
    from localkit.store.stored import StoredModel

NAME = "localkit.lock"
MAX_SIZE = 4 << 20
"""Bytes a lock file may have."""

_HEAD = (
    "# What each model was when `localkit lock` pinned it, byte for byte.\n"
    "# Commit this file: models that changed since are refused in this folder.\n"
)


def _ref(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ModelRef.parse(value)
    except RefError as error:  # pydantic collects nothing but ValueError
        raise ValueError(error.one_line()) from error


def _with_a_tag_alone(ref: ModelRef) -> ModelRef:
    if ref.tag is None or ref.digest is not None:
        raise ValueError("a pinned ref has a tag and no digest")
    return ref


class LockedBlob(BaseModel):
    """One blob of a pinned model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Digest
    size: Annotated[StrictInt, Field(ge=0, le=MAX_BLOB_SIZE)]
    """Bytes."""
    media_type: Annotated[str, Field(max_length=255)]
    """What it is: weights, template, licence, …"""


class LockedModel(BaseModel):
    """One pinned model."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    ref: Annotated[ModelRef, BeforeValidator(_ref), AfterValidator(_with_a_tag_alone)]
    digest: Digest
    """Of the manifest."""
    blobs: tuple[LockedBlob, ...]
    """Config first, then the layers as the manifest has them."""


class LockedEngine(BaseModel):
    """The engine that was there when the models were pinned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    build: str
    """Versions, as `Fingerprint.engine` has them."""
    features: str
    """Instruction sets, as `Fingerprint.features`: they differ between machines, so
    they are kept for the reader and not held to."""


class Lock(BaseModel):
    """A whole lock file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    """Of the format."""
    strict: bool = False
    """Whether models that it does not name are refused."""
    engine: LockedEngine
    model: tuple[LockedModel, ...] = ()
    """By ref."""

    def of(self, ref: ModelRef) -> LockedModel | None:
        """Return the pin of ``ref``, which has a tag."""
        return next((one for one in self.model if one.ref.key == ref.key), None)

    def tags_of(self, ref: ModelRef) -> list[ModelRef]:
        """Return the pinned refs of the model that ``ref`` names."""
        key = ref.model_key
        return [one.ref for one in self.model if one.ref.model_key == key]

    def encode(self) -> bytes:
        """Return the bytes to write: the same for the same pins."""
        lines = [_HEAD, f"version = {self.version}\n"]
        if self.strict:
            lines.append("strict = true\n")
        lines.append("\n[engine]\n")
        lines.append(f"build = {_quoted(self.engine.build)}\n")
        lines.append(f"features = {_quoted(self.engine.features)}\n")
        for model in sorted(self.model, key=lambda one: str(one.ref).lower()):
            lines.append("\n[[model]]\n")
            lines.append(f"ref = {_quoted(str(model.ref))}\n")
            lines.append(f"digest = {_quoted(model.digest)}\n")
            lines.append("blobs = [\n")
            lines += [
                f"  {{ digest = {_quoted(blob.digest)}, size = {blob.size}, "
                f"media_type = {_quoted(blob.media_type)} }},\n"
                for blob in model.blobs
            ]
            lines.append("]\n")
        return "".join(lines).encode()


def pin(stored: StoredModel) -> LockedModel:
    """Return what a model of the store is now."""
    return LockedModel(
        ref=stored.ref,
        digest=stored.digest,
        blobs=tuple(
            LockedBlob(
                digest=layer.digest, size=layer.size, media_type=layer.media_type
            )
            for layer in stored.manifest.blobs()
        ),
    )


def find_lock(folder: Path) -> Path | None:
    """Return the nearest lock file from ``folder`` upwards; None without one."""
    home = Path.home()
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            return place / NAME
        if place == home:
            break
    return None


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        StoreError: it is not there, or not what `localkit lock` writes.
    """
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_SIZE + 1) or b""
    except SourceNotFound as error:
        raise StoreError(
            f"the lock file {path} cannot be read: {error}",
            hint="`localkit lock` writes one; LOCALKIT_LOCK names where",
        ) from error
    try:
        lock = Lock.model_validate(_document(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise _unreadable(path, f"{place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    keys = [one.ref.key for one in lock.model]
    if len(set(keys)) != len(keys):
        raise _unreadable(path, "a ref is pinned twice")
    return lock


def write_lock(path: Path, lock: Lock) -> None:
    """Write a lock file whole, or not at all.

    Raises:
        StoreError: the folder may not be written.
        DiskFull: no room.
    """
    data = lock.encode()
    with explained_write_errors(len(data), path.parent):
        write_atomic(path, data)


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_SIZE:
        raise ValueError(f"it is larger than {MAX_SIZE >> 20} MiB")
    document = tomllib.loads(data.decode())
    version = document.get("version")
    if isinstance(version, int) and version > 1:
        raise ValueError(f"format {version} is of a newer localkit")
    return document


def _unreadable(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"the lock file {path} is damaged: {reason}",
        hint="restore it from version control, or delete it and run `localkit lock`",
    )


def _quoted(text: str) -> str:
    """Return a TOML string: JSON's escapes are TOML's, but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
