"""The command that checks again what was stored: bytes, or a notebook's receipts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.notebooks import the_notebook
from localkit.cli.parameters import complete_model
from localkit.cli.progress import duration
from localkit.cli.screen import Screen, Table
from localkit.errors import BlobCorrupt, StoreError, UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.digest import short_id

if TYPE_CHECKING:
    from localkit.regression.receipts import ReceiptCheck
    from localkit.store import BlobCheck

_NOTEBOOK = ".ipynb"


@command("verify")
@click.argument(
    "names", nargs=-1, metavar="[MODEL|NOTEBOOK…]", shell_complete=complete_model
)
@click.option(
    "--notebook",
    is_flag=False,
    flag_value="",
    metavar="[PATH]",
    help="Check the receipts of PATH; without PATH those of this notebook.",
)
def verify(
    screen: Screen, names: tuple[str, ...], notebook: str | None
) -> list[BlobCheck] | list[ReceiptCheck]:
    """Hash stored bytes again and compare: MODEL's, or everybody's.

    Of a NOTEBOOK.ipynb the receipts are checked: whether each model that its saved
    answers came from is still in the store, with the same weights and template, and
    the engine no older. What does not hold is said with how to get it back.
    """
    notebooks = [name for name in names if name.endswith(_NOTEBOOK)]
    models = [name for name in names if not name.endswith(_NOTEBOOK)]
    if notebook is not None:
        notebooks.append(str(the_notebook(notebook)))
    if notebooks:
        if models:
            msg = f"{models[0]} is no notebook"
            raise UsageError(msg, hint="verify models and notebooks one by one")
        return _receipts(screen, notebooks)
    if len(models) > 1:
        msg = f"verify takes one model, not {len(models)}"
        raise UsageError(msg, hint="without a model it checks all of them")
    return _bytes(screen, models[0] if models else None)


def _bytes(screen: Screen, model: str | None) -> list[BlobCheck]:
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


def _receipts(screen: Screen, notebooks: list[str]) -> list[ReceiptCheck]:
    """Show how every receipt stands.

    Raises:
        StoreError: one or more do not hold.
    """
    from localkit.regression.receipts import check_receipts
    from localkit.runtime import library

    checks: list[ReceiptCheck] = []
    rows = []
    for name in notebooks:
        path = the_notebook(name)
        found = check_receipts(path, default_kit(), engine=library.version())
        checks += found
        rows += [
            (
                path.name,
                f"In[{one.cell}]",
                one.ref,
                "holds" if one.holds else "CHANGED",
                "; ".join((*one.changes, *one.notes)),
            )
            for one in found
        ]
    empty = "no receipt is saved in it: run its cells and save it"
    headers = ("notebook", "cell", "model", "receipt", "what is otherwise")
    screen.table(Table(headers, rows, "<<<<<", empty=empty))
    broken = [one for one in checks if not one.holds]
    for repair in dict.fromkeys(one.repair for one in broken):
        screen.say(f"→ {repair}")
    if broken:
        msg = f"{len(broken)} of {len(checks)} receipts do not hold"
        first = broken[0]
        raise StoreError(f"{msg}: {first.ref}: {first.changes[0]}", hint=first.repair)
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
