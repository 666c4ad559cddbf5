"""The command that makes smaller copies of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_quant, model_argument
from localkit.cli.screen import Screen, Table
from localkit.errors import UsageError
from localkit.evals.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.store import StoredModel


@command("quantize")
@model_argument()
@click.argument(
    "quants", nargs=-1, required=True, metavar="QUANT…", shell_complete=complete_quant
)
@click.option("--as", "ref", metavar="REF", help="Store the one copy under this ref.")
@click.option(
    "--requantize",
    is_flag=True,
    help="Allow a quantized MODEL as the source; its loss stays in every copy.",
)
@click.option(
    "--missing", is_flag=True, help="Make only the quants that are not stored yet."
)
def quantize(
    screen: Screen,
    model: str,
    quants: tuple[str, ...],
    ref: str | None,
    requantize: bool,
    missing: bool,
) -> list[StoredModel]:
    """Make copies of MODEL in other quants: Q8_0, Q4_K_M.

    Each is stored beside MODEL with the quant as its tag. Expanding a quantized
    model (to F16, say) brings nothing back: the copy is labelled with its origin.
    """
    if ref is not None and (len(quants) > 1 or missing):
        msg = "--as names one new copy"
        raise UsageError(msg, hint="give it one quant, and leave --missing out")
    kit = default_kit()
    stored = {tag.key[-1]: tag for tag in kit.store.tags(model)} if missing else {}
    copies: list[StoredModel] = []
    made: list[bool] = []
    with screen.progress() as on_progress:
        for quant in quants:
            present = stored.get(quant.lower())
            made.append(present is None)
            if present is not None:
                copies.append(kit.store.resolve(present))
                continue
            receipt = kit.quantize(
                model,
                quant,
                name=ref,
                allow_requantize=requantize,
                on_progress=on_progress,
            )
            copies.append(receipt.model)
    screen.table(_copies(copies, made))
    return copies


def _copies(copies: list[StoredModel], made: list[bool]) -> Table:
    rows = [
        (
            str(copy.ref),
            copy.info.label,
            f"{copy.info.bits_per_weight:.2f}",
            size(copy.info.file_size),
            "made" if new else "was there",
        )
        for copy, new in zip(copies, made, strict=True)
    ]
    headers = ("model", "quant", "bits per weight", "size", "")
    return Table(headers, rows, "<<>><", empty="")
