"""Commands that look before a model is brought in: search, quants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.receipts import METHODS
from localkit.cli.screen import Screen, Table
from localkit.evals.report.figures import MISSING, size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.choosing.pulled import Pulled
    from localkit.choosing.weighing import Weighed, Weighing
    from localkit.store.hub.search import FoundRepo


@command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORDS…")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 100),
    default=20,
    show_default=True,
    help="Most repos to list.",
)
def search(screen: Screen, words: tuple[str, ...], limit: int) -> list[FoundRepo]:
    """Find repos with GGUF files on Hugging Face by WORDS of their names.

    Those that are downloaded most come first; downloads are of the last 30 days.
    `quants hf.co/ORG/REPO` shows what is in one.
    """
    from localkit.store.hub.search import search as ask

    found = ask(" ".join(words), limit=limit)
    rows = [
        (
            f"hf.co/{repo.id}",
            f"{repo.downloads:,}",
            f"{repo.likes:,}",
            f"{repo.updated:%Y-%m-%d}" if repo.updated else MISSING,
            (repo.licence or "not stated") + (" (gated)" if repo.gated else ""),
        )
        for repo in found
    ]
    headers = ("repo", "downloads", "likes", "updated", "licence")
    empty = f"no repo with GGUF files is called {' '.join(words)}: try fewer words"
    screen.table(Table(headers, rows, "<>><<", empty=empty))
    return found


@command("quants")
@click.argument("source", shell_complete=complete_model)
@click.option(
    "--n-ctx",
    type=click.IntRange(1),
    metavar="TOKENS",
    help="Context length to have room for; default: that of a load.",
)
def quants(screen: Screen, source: str, n_ctx: int | None) -> Weighing:
    """List the quants of SOURCE and whether each fits this machine.

    SOURCE is hf.co/ORG/REPO, a model of a registry, one in the store, or pkg:NAME.
    Nothing is downloaded but the start of a file, where its header stands. What a
    load needs is an estimate for the memory that is free now.
    """
    weighing = default_kit().quants(source, n_ctx=n_ctx)
    screen.table(weighing_table(weighing))
    for line in weighing_lines(weighing):
        screen.say(line)
    return weighing


def weighing_table(weighing: Weighing) -> Table:
    """Return what was weighed, one offer a row; the chosen one is marked."""
    rows = [_row(row, row.label == weighing.chosen) for row in weighing.rows]
    headers = ("", "quant", "size", "bits per weight", "needs", "fits", "context")
    empty = f"{weighing.what} has no GGUF file"
    return Table(headers, rows, "<<>>><>", empty=empty)


def weighing_lines(weighing: Weighing) -> list[str]:
    """Return which was chosen and why, and what was left out."""
    lines = list(weighing.notes)
    free = next((row.available for row in weighing.rows if row.available), None)
    if free is not None:
        lines.append(
            f"{size(free)} are free for a load; context: the longest that fits, "
            "in tokens"
        )
    if weighing.why:
        lines.append(weighing.why)
    return lines


def _row(row: Weighed, chosen: bool) -> tuple[str, ...]:
    fits = {"fits": "yes", "tight": row.why, "no": "no", "unknown": row.why}
    bits = MISSING if row.bits_per_weight is None else f"{row.bits_per_weight:.2f}"
    context = MISSING
    if row.n_ctx_that_fits is not None:
        context = f"{row.n_ctx_that_fits:,}"
    return (
        "→" if chosen else "",
        row.label,
        size(row.size),
        bits,
        size(row.needed),
        fits[row.verdict],
        context,
    )


def show_pulled(screen: Screen, pulled: Pulled) -> None:
    """Say what came in and how, what it was chosen from, and what was left out."""
    if pulled.weighing is not None:
        screen.table(weighing_table(pulled.weighing))
        for line in weighing_lines(pulled.weighing):
            screen.say(line)
    for note in pulled.notes:
        screen.say(note)
    info = pulled.model.info
    came = _CAME[pulled.method]
    if pulled.downloaded:
        came = f"{size(pulled.downloaded)} downloaded, {came}"
    screen.say(
        f"{pulled.model.ref}: {info.label}, {info.bits_per_weight:.2f} bits per "
        f"weight, {size(pulled.size)} ({came})"
    )
    if pulled.model.projector is not None:
        screen.say("it sees: a projector came with it")


_CAME = {
    **METHODS,
    "merged": "its parts merged into one file",
    "download": "verified",
}
