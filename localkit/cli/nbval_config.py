"""The command that writes nbval's sanitizer file: nbval-config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.io.atomic import write_atomic
from localkit.io.disk import explained_write_errors
from localkit.io.shown import shown

if TYPE_CHECKING:
    from localkit.cli.screen import Screen


@command("nbval-config")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def nbval_config(screen: Screen, file: Path | None) -> str:
    """Print what nbval must not compare in localkit's outputs, or write it to FILE.

    Times, speeds, sizes, dates and digests; for
    `pytest --nbval --nbval-sanitize-with FILE`.
    """
    from localkit.regression.sanitizing import nbval_config as config

    text = config()
    if file is None:
        screen.say(text.rstrip("\n"))
        return text
    data = text.encode()
    with explained_write_errors(len(data), file.parent):
        write_atomic(file, data)
    screen.say(f"written: {shown(file)}")
    return text
