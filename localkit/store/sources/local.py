"""GGUF files that lie somewhere: what each is, which belong together, what is wrong.

Only headers are read. The parts of a split model count as one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import GGUFError, LocalkitError, SourceNotFound
from localkit.gguf import preflight, read_header
from localkit.gguf.kinds import Kind, kind_of
from localkit.gguf.projector import check_projector
from localkit.gguf.read import model_info
from localkit.gguf.split import part_name, parts_of
from localkit.io.folders import names_in
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.gguf.reader import Header

MAX_FILES = 10_000
"""GGUF files of one folder that are looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A GGUF that was found, or all parts of a split one."""

    files: tuple[Path, ...]
    """The file; the parts in order."""
    size: int
    """Bytes of all of them; 0 when it cannot be read."""
    kind: Kind | None = None
    """None when it is broken."""
    info: ModelInfo | None = None
    """What the header of a model says."""
    trouble: LocalkitError | None = None
    """Why it cannot be added."""

    @property
    def path(self) -> Path:
        """The file, or the first part."""
        return self.files[0]


def look_at(path: Path) -> Found:
    """Read what the GGUF at ``path`` is, with the parts it belongs to.

    Raises:
        SourceNotFound: there is no plain file, or parts of it are missing.
        GGUFError: it is not a GGUF that may be loaded.
        Unsupported: it is a projector that cannot be used here.
    """
    files: tuple[Path, ...] = (path,)
    header = _header(path)
    kind = kind_of(header)
    if kind == "part":
        files = tuple(parts_of(path))
        header = _combined([_header(part) for part in files])
        kind = kind_of(header)
    info = None
    if kind == "projector":
        check_projector(path)
    elif kind == "model":
        preflight.check(header)
        info = model_info(header, path)
    return Found(files, header.file_size, kind, info)


def look_at_all(paths: Iterable[Path]) -> list[Found]:
    """Read what each of several GGUFs is; parts count as one, broken ones too."""
    found: list[Found] = []
    for files in grouped(paths):
        try:
            found.append(look_at(files[0]))
        except LocalkitError as error:
            size = sum(_size(file) for file in files)
            found.append(Found(files, size, trouble=error))
    return found


def gguf_files(folder: Path) -> list[Path]:
    """Return the GGUF files that lie directly in ``folder``, by name.

    Raises:
        SourceNotFound: the folder cannot be read, or holds too many.
    """
    names = [name for name in names_in(folder) if is_gguf_name(name)]
    if len(names) > MAX_FILES:
        raise SourceNotFound(
            f"'{folder}' holds {len(names)} GGUF files, more than {MAX_FILES}",
            hint="give the path of one",
        )
    return [folder / name for name in names]


def is_gguf_name(name: str) -> bool:
    """Return whether a file of this name should be a GGUF."""
    return name.lower().endswith(".gguf")


def grouped(paths: Iterable[Path]) -> list[tuple[Path, ...]]:
    """Put the parts of one model together, each group where its first one was."""
    groups: dict[object, list[Path]] = {}
    for path in paths:
        named = part_name(path)
        key = path if named is None else (path.parent, named.prefix, named.n_parts)
        groups.setdefault(key, []).append(path)
    return [tuple(sorted(group)) for group in groups.values()]


def _header(path: Path) -> Header:
    open_regular(path).close()
    return read_header(path)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _combined(headers: Sequence[Header]) -> Header:
    """Return the header of a whole model, for looking at: offsets are the parts'."""
    first = headers[0]
    if first.kv.get("split.no") != 0:
        raise GGUFError(
            "the file named as the first part does not hold the model's metadata",
            hint="get the parts again, and keep their names",
            field="split.no",
        )
    return dataclasses.replace(
        first,
        kv={key: one for key, one in first.kv.items() if not key.startswith("split.")},
        tensors=tuple(tensor for header in headers for tensor in header.tensors),
        file_size=sum(header.file_size for header in headers),
    )
