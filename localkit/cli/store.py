"""Commands over the store's bytes: du, prune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.amounts import parse_duration
from localkit.cli.group import command
from localkit.cli.screen import Screen, Table
from localkit.evals.report.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.store.remove import PruneReceipt
    from localkit.store.usage import Usage


@command("du")
def disk_usage(screen: Screen) -> Usage:
    """Show what the models take on the disk, and what they share.

    Unshared bytes are those that removing the model takes away, linked the part of
    them that stays on the disk because the file it was added from is the same one.
    """
    usage = default_kit().store.usage()
    rows = [
        (
            str(model.ref),
            size(model.size),
            size(model.shared),
            size(model.unshared),
            size(model.linked),
        )
        for model in usage.models
    ]
    rows += [
        ("", "", "", "", ""),
        ("shared, counted once", size(usage.shared), "", "", ""),
        ("unshared", size(usage.unshared), "", "", ""),
        ("named by no model", size(usage.unreferenced), "", "", ""),
        ("unfinished", size(usage.unfinished), "", "", ""),
        ("all", size(usage.total), "", "", ""),
    ]
    headers = ("name", "size", "shared", "unshared", "linked")
    screen.table(Table(headers, rows, "<>>>>", empty=""))
    return usage


@command("prune")
@click.option(
    "--grace",
    metavar="TIME",
    default="1h",
    show_default=True,
    help="Keep what is younger: a program that shares the store may need it.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be freed.")
def prune(screen: Screen, grace: str, dry_run: bool) -> PruneReceipt:
    """Free bytes that no model uses, and abandoned downloads.

    A download that was stopped less than a day ago stays: pull it again, and it
    goes on where it was.
    """
    receipt = default_kit().store.prune(grace_s=parse_duration(grace), dry_run=dry_run)
    screen.say(f"{size(receipt.freed)} {'would be freed' if dry_run else 'freed'}")
    for n_bytes, reason in (
        (receipt.young, f"named by no model, but younger than {grace}"),
        (receipt.kept, "kept, because a damaged model may need it: `list` names it"),
        (receipt.unfinished, "in downloads that can go on where they were"),
    ):
        if n_bytes:
            screen.say(f"{size(n_bytes)} {reason}")
    return receipt
