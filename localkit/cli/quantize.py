"""The command that makes smaller copies of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.imatrix import calibration_text
from localkit.cli.parameters import complete_quant, model_argument, tensor_type
from localkit.cli.screen import Screen, Table
from localkit.errors import UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.making import copy_tag

if TYPE_CHECKING:
    from localkit.events import OnProgress
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
    "--imatrix",
    metavar="FILE|auto",
    help="Use an importance matrix; auto: collect one from a text first.",
)
@click.option(
    "--tensor-type",
    "types",
    multiple=True,
    metavar="PATTERN=TYPE",
    help="Give tensors whose names match PATTERN a type of their own: ffn_down=q6_K. "
    "May be repeated; the first that matches decides.",
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
    imatrix: str | None,
    types: tuple[str, ...],
    missing: bool,
) -> list[StoredModel]:
    """Make copies of MODEL in other quants: Q8_0, Q4_K_M.

    Each is stored beside MODEL with the quant as its tag, with `-imatrix` or
    `-mixed` behind it where these options were used. Expanding a quantized
    model (to F16, say) brings nothing back: the copy is labelled with its origin.

    An importance matrix makes the most of few bits. IQ3_XS and everything below it
    but Q2_K cannot be made without one.
    """
    if ref is not None and (len(quants) > 1 or missing):
        msg = "--as names one new copy"
        raise UsageError(msg, hint="give it one quant, and leave --missing out")
    tensor_types = [tensor_type(text) for text in types]
    kit = default_kit()
    stored = {tag.key[-1]: tag for tag in kit.store.tags(model)} if missing else {}
    matrix: Path | None = None
    copies: list[StoredModel] = []
    made: list[bool] = []
    with screen.progress() as on_progress:
        for quant in quants:
            tag = copy_tag(quant, imatrix=bool(imatrix), mixed=bool(types))
            present = stored.get(tag)
            made.append(present is None)
            if present is not None:
                copies.append(kit.store.resolve(present))
                continue
            if imatrix is not None and matrix is None:
                matrix = _matrix(model, imatrix, on_progress)
            receipt = kit.quantize(
                model,
                quant,
                name=ref,
                allow_requantize=requantize,
                imatrix=matrix,
                tensor_types=tensor_types,
                on_progress=on_progress,
            )
            copies.append(receipt.model)
    screen.table(_copies(copies, made))
    return copies


def _matrix(model: str, imatrix: str, on_progress: OnProgress) -> Path:
    """Return the file that was named, or one made from the packaged text."""
    if imatrix != "auto":
        return Path(imatrix).expanduser()
    text = calibration_text()
    return default_kit().imatrix(
        model, text.text, dataset=text.name, on_progress=on_progress
    )


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
