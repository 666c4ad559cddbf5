"""The command that pins models for a folder: lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.screen import Screen, Table
from localkit.errors import LocalkitError, LockDrift, UsageError
from localkit.io.shown import shown
from localkit.kit import default_kit
from localkit.store.lockfile import LockedEngine
from localkit.store.ref import ModelRef

if TYPE_CHECKING:
    from localkit.kit import Kit
    from localkit.store.locking import LockReceipt, PinCheck

_HEADERS = ("model", "pinned", "state")
_NOTHING_PINNED = "nothing is pinned: `lock MODEL` pins one"


@command("lock")
@click.argument("models", nargs=-1, metavar="[MODEL]…", shell_complete=complete_model)
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing: hash everything that is pinned, and compare the engine.",
)
@click.option(
    "--update",
    is_flag=True,
    help="Take what is in the store now; without MODEL also the engine.",
)
@click.option(
    "--strict/--no-strict",
    default=None,
    help="Refuse models that are not pinned, or let them pass with a word. "
    "[default: as it was; a new file lets them pass]",
)
def lock(
    screen: Screen,
    models: tuple[str, ...],
    check: bool,
    update: bool,
    strict: bool | None,
) -> LockReceipt | list[PinCheck]:
    """Pin models in localkit.lock, so that changed ones are refused.

    Without MODEL a new file pins every model in the store, and an existing one is
    compared with it. The file counts in its folder and in those below it. A pinned
    model that changed is not loaded, neither by `run` nor by `compare` nor in Python.
    """
    kit = default_kit()
    if check:
        if models or update or strict is not None:
            raise UsageError("--check changes nothing", hint="give it alone")
        return _check(screen, kit)
    refs = [ModelRef.parse(model) for model in models]
    receipt = kit.pins.write(refs, engine(), update=update, strict=strict)
    rows = [
        (str(model.ref), model.digest, receipt.state(model))
        for model in receipt.lock.model
    ]
    screen.table(Table(_HEADERS, rows, "<<<", empty=_NOTHING_PINNED))
    for reason in receipt.left_out:
        screen.say(f"left out: {reason}")
    screen.say(
        f"{'written' if receipt.changed else 'as it was'}: {shown(receipt.path)}"
    )
    for note in kit.pins.notes(engine().build):
        screen.say(f"{note} → `lock --update` takes it")
    return receipt


def engine() -> LockedEngine:
    """Return the build of the engine, as a lock file names it.

    Raises:
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    from localkit.runtime import library

    return LockedEngine(build=library.version(), features=library.features())


def _check(screen: Screen, kit: Kit) -> list[PinCheck]:
    """Show how every pin stands.

    Raises:
        LocalkitError: the first one that does not hold.
    """
    with screen.progress() as on_progress:
        checks = kit.pins.check(on_progress=on_progress)
    rows = [
        (str(one.ref), one.pinned, "as pinned" if one.drift is None else "DRIFTED")
        for one in checks
    ]
    screen.table(Table(_HEADERS, rows, "<<<", empty=_NOTHING_PINNED))
    drifts: list[LocalkitError] = [one.drift for one in checks if one.drift]
    pinned, present = kit.pins.lock, engine()
    if pinned is not None and pinned.engine.build != present.build:
        drifts.append(
            LockDrift(
                "the engine is not the one that localkit.lock pins",
                expected=pinned.engine.build,
                found=present.build,
                hint="install that one, or `localkit lock --update`",
            )
        )
    elif pinned is not None and pinned.engine.features != present.features:
        screen.say(
            "the engine uses other instruction sets here than where it was pinned, so "
            f"the last bits of results may differ: {present.features}"
        )
    for drift in drifts[1:]:
        screen.say(drift.one_line())
    if drifts:
        raise drifts[0]
    return checks
