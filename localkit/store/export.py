"""A stored model as a plain folder that needs no store.

Weights, projectors, adapters and draft under readable names (linked where the file
system can), a Modelfile that makes the same model of them again, the licences, and a
README with every digest. The folder is put together beside its place and each file is
then renamed into it, so none is ever seen in part.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from localkit.errors import BlobCorrupt, StoreError
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.io.atomic import flush_folder, make_folders, publish
from localkit.io.disk import explained_write_errors
from localkit.io.link import LinkMethod, take
from localkit.store.digest import digest_from_hex, digest_of
from localkit.store.manifest import (
    ADAPTER_TYPE,
    DRAFT_TYPE,
    MODEL_TYPE,
    PROJECTOR_TYPE,
)
from localkit.store.modelfile.emit import emit

if TYPE_CHECKING:
    from localkit.store.manifest import Layer
    from localkit.store.stored import StoredModel

Role = Literal["weights", "projector", "adapter", "draft", "Modelfile", "licence"]
_ROLES: dict[str, Role] = {
    MODEL_TYPE: "weights",
    PROJECTOR_TYPE: "projector",
    ADAPTER_TYPE: "adapter",
    DRAFT_TYPE: "draft",
}


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an exported model."""

    name: str
    role: Role
    digest: str
    size: int
    method: LinkMethod | None
    """How the bytes came; None for a text that was written."""


@dataclass(frozen=True, slots=True)
class ExportReceipt:
    """What exporting a model did."""

    folder: Path
    files: tuple[ExportedFile, ...]
    """Without the README, which lists them."""
    seconds: float

    @property
    def weights(self) -> Path:
        """The exported GGUF."""
        return self.folder / self.files[0].name


def export(
    stored: StoredModel,
    folder: Path,
    *,
    force: bool = False,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> ExportReceipt:
    """Write a model to ``folder``, which is made when it is not there.

    Every byte is read once and held to its digest. A hard-linked file is one with the
    store's, which is why it may not be written to: replace it.

    Args:
        stored: The model.
        folder: Where to.
        force: Write into a folder that holds something; files of the same names are
            replaced, others stay.
        on_progress: Told about hashing and copying.
        cancel: Stops both.

    Raises:
        StoreError: the folder is not empty, or may not be written.
        BlobCorrupt: a file of the model is not what it was.
        DiskFull: a copy does not fit.
        Cancelled: ``cancel`` was raised; the folder is as it was.
    """
    started = time.perf_counter()
    folder = folder.expanduser().absolute()
    _check_target(folder, force=force)
    with explained_write_errors(0, folder):
        make_folders(folder.parent)
        area = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with explained_write_errors(0, folder):
            files = _fill(stored, area, on_progress, cancel)
            make_folders(folder)
            for path in area.iterdir():
                publish(path, folder / path.name)
            flush_folder(folder)
    finally:
        shutil.rmtree(area, ignore_errors=True)
    return ExportReceipt(folder, tuple(files), time.perf_counter() - started)


def _check_target(folder: Path, *, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"'{folder}' is not a folder", hint="name a new folder")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise StoreError(
            f"'{folder}' is not empty",
            hint="name a new folder, or --force to write into this one",
        )


def _fill(
    stored: StoredModel,
    area: Path,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> list[ExportedFile]:
    files = []
    for layer, role, name in _named(stored):
        source = stored.layout.blob(layer.digest)
        taken = take(source, area / name, on_progress=on_progress, cancel=cancel)
        found = digest_from_hex(taken.sha256)
        if found != layer.digest:
            raise BlobCorrupt(
                layer.digest,
                source,
                hint=f"pull {stored.ref} or add its file again",
                found=found,
            )
        files.append(ExportedFile(name, role, layer.digest, taken.size, taken.method))

    def given(*roles: str) -> list[str]:
        return [f"./{one.name}" for one in files if one.role in roles]

    modelfile = emit(
        stored,
        sources=given("weights", "projector"),
        adapters=given("adapter"),
        draft=next(iter(given("draft")), None),
    )
    files.append(_write(area, "Modelfile", "Modelfile", modelfile))
    licences = stored.licences
    for index, text in enumerate(licences, 1):
        name = "LICENSE.txt" if len(licences) == 1 else f"LICENSE-{index}.txt"
        files.append(_write(area, name, "licence", text))
    (area / "README.md").write_text(_readme(stored, files), encoding="utf-8")
    return files


def _named(stored: StoredModel) -> list[tuple[Layer, Role, str]]:
    """Return the layers that become files, weights first, with readable names."""
    model, quant = stored.ref.model, stored.info.quant
    named: list[tuple[Layer, Role, str]] = []
    for media_type, role in _ROLES.items():
        layers = stored.manifest.of_type(media_type)
        for index, layer in enumerate(layers, 1):
            number = f"-{index}" if len(layers) > 1 else ""
            name = {
                "weights": f"{model}-{quant}" if quant else model,
                # Other programs know a projector by this beginning.
                "projector": f"mmproj-{model}{number}",
            }.get(role, f"{model}-{role}{number}")
            named.append((layer, role, f"{name}.gguf"))
    return named


def _write(area: Path, name: str, role: Role, text: str) -> ExportedFile:
    data = text.encode()
    (area / name).write_bytes(data)
    return ExportedFile(name, role, digest_of(data), len(data), None)


def _readme(stored: StoredModel, files: list[ExportedFile]) -> str:
    ref = stored.ref.with_tag(stored.ref.tag)
    rows = [f"| {one.name} | {one.role} | {one.size} | {one.digest} |" for one in files]
    return "\n".join(
        [
            f"# {ref}",
            "",
            f"Exported by localkit from the model with digest `{stored.digest}`.",
            "",
            "| file | what it is | bytes | digest |",
            "|---|---|--:|---|",
            *rows,
            "",
            "`localkit create NAME -f Modelfile` in this folder makes the same model",
            "again; so does `ollama create NAME -f Modelfile`. Any program that reads",
            f"GGUF runs `{files[0].name}` by itself.",
            "",
        ]
    )
