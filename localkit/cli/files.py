"""Files that options name: read in bounds, and completed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from localkit.cli.names import complete_names
from localkit.errors import UsageError
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

MAX_BYTES = 4 << 20
"""Of a text that an option names: a schema, a grammar, a prompt."""


def read_text(path: Path, *, what: str) -> str:
    """Return the text of a plain file.

    Raises:
        SourceNotFound: there is none, or it may not be read.
        UsageError: it is too long, or no UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        msg = f"{path} has more than {MAX_BYTES >> 20} MiB"
        raise UsageError(msg, hint=f"is it a {what}?")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        msg = f"{path} is not text: {error}"
        raise UsageError(msg, hint=f"save the {what} as UTF-8") from error


def complete_names_and_files(
    fits: Callable[[object], bool], *suffixes: str
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what completes Python names whose value ``fits``, and files.

    Args:
        fits: Says which values the option takes.
        suffixes: Ends of the files' names; none: any file.
    """
    names = complete_names(fits)

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[str]:
        return names(context, parameter, incomplete) + _files(incomplete, suffixes)

    return complete


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Return the folders and files that begin so; none where they cannot be listed."""
    head, slash, tail = incomplete.rpartition("/")
    folder = Path(head + slash) if slash else Path()
    found = []
    try:
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".") and not tail
            if hidden or not path.name.startswith(tail) or " " in path.name:
                continue
            if path.is_dir():
                found.append(f"{head}{slash}{path.name}/")
            elif not suffixes or path.name.lower().endswith(suffixes):
                found.append(f"{head}{slash}{path.name}")
    except (OSError, ValueError):
        return []
    return found
