"""The command that takes a model out of the store as plain files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.receipts import METHODS
from localkit.cli.screen import Screen, Table
from localkit.evals.report.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.store.export import ExportReceipt


@command("export")
@model_argument()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write into a FOLDER that is not empty.")
def export(screen: Screen, model: str, folder: Path, force: bool) -> ExportReceipt:
    """Write MODEL to FOLDER as plain files that need no store.

    Weights and what belongs to them under readable names, linked where the file
    system can; a Modelfile that makes the same model again; licences and digests.
    """
    from localkit.store.export import export as write

    stored = default_kit().resolve(model)
    with screen.progress() as on_progress:
        receipt = write(stored, folder, force=force, on_progress=on_progress)
    rows = [
        (
            one.name,
            one.role,
            size(one.size),
            METHODS[one.method] if one.method else "",
        )
        for one in receipt.files
    ]
    headers = ("file", "what it is", "size", "bytes")
    screen.table(Table(headers, rows, "<<><", empty=""))
    screen.say(f"exported {stored.ref} to {receipt.folder}")
    return receipt
