"""Open a file that someone named, if it is a plain file."""

from __future__ import annotations

import difflib
import os
import stat
from typing import TYPE_CHECKING

from localkit.errors import SourceNotFound

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: Path) -> FileIO:
    """Open ``path`` for reading, unbuffered; links to plain files are followed.

    Never blocks: a pipe or device is refused without being read.

    Raises:
        SourceNotFound: there is no such file, it is not a plain file, or it
            may not be read; names what is there instead.
    """
    # Without O_NONBLOCK, opening a pipe waits for a writer for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFound(
            f"there is no file '{path}'", hint=_what_is_there(path)
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceNotFound(
            f"'{path}' cannot be read: {reason}", hint="give a file that you may read"
        ) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    kind = next((name for matches, name in _KINDS if matches(mode)), "no plain file")
    raise SourceNotFound(
        f"'{path}' is {kind}",
        hint=_what_is_there(path / "*") if stat.S_ISDIR(mode) else "give a GGUF file",
    )


def _what_is_there(path: Path) -> str:
    """Name the GGUF files beside ``path`` that look most like it."""
    try:
        names = sorted(file.name for file in path.parent.glob("*.gguf"))
    except OSError:
        names = []
    if not names:
        return "give the path of a GGUF file"
    closest = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4)
    return f"{path.parent} holds {', '.join(closest or names[:3])}"
