"""Commands that bring in what lies on this machine: add, scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model
from localkit.cli.receipts import receipt_line
from localkit.cli.screen import Screen, Table
from localkit.config import OtherTools, settings
from localkit.errors import LocalkitError, StoreError, UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.importing.converter import OutType
from localkit.store.ref import as_ref

if TYPE_CHECKING:
    from localkit.store.create import CreateReceipt
    from localkit.store.scanning.scan import Scan, Sighting

_PATH = click.Path(path_type=Path)


@command("add")
@click.argument("path", type=_PATH)
@click.argument("ref", required=False)
@click.option(
    "--projector",
    type=_PATH,
    metavar="FILE",
    help="GGUF that turns images into embeddings for it. "
    "[default: the one beside PATH that fits]",
)
@click.option("--no-projector", is_flag=True, help="Leave out what lies beside PATH.")
@click.option(
    "--adapter-of",
    "base",
    metavar="MODEL",
    shell_complete=complete_model,
    help="PATH is a LoRA adapter: make a model of it and MODEL, sharing the weights.",
)
@click.option("--all", "every", is_flag=True, help="Add each model in the folder PATH.")
@click.option(
    "--outtype",
    type=click.Choice(get_args(OutType)),
    default="auto",
    show_default=True,
    help="What safetensors become; auto: bf16 for bf16 weights, else f16.",
)
def add(
    screen: Screen,
    path: Path,
    ref: str | None,
    projector: Path | None,
    no_projector: bool,
    base: str | None,
    every: bool,
    outtype: OutType,
) -> list[CreateReceipt]:
    """Take the model at PATH into the store, as REF.

    PATH is a GGUF, any part of a split one, a folder with one of these, or a folder
    of safetensors, which is converted (pip install 'localkit[convert]').

    The bytes are shared with PATH where the file system can, else copied.
    """
    from localkit.store.importing.bring import (
        bring_in,
        bring_in_adapter,
        bring_in_all,
    )

    _check_together(ref, projector, no_projector, base, every)
    kit, path = default_kit(), path.expanduser()
    layout, name = kit.store.layout, None if ref is None else as_ref(ref)
    with screen.progress() as on_progress:
        came: list[CreateReceipt | LocalkitError]
        if every:
            came = bring_in_all(
                layout, path, look_beside=not no_projector, on_progress=on_progress
            )
        elif base is not None:
            stored = kit.resolve(base)
            came = [
                bring_in_adapter(layout, path, stored, name, on_progress=on_progress)
            ]
        else:
            came = [
                bring_in(
                    layout,
                    path,
                    name,
                    projector=None if projector is None else projector.expanduser(),
                    look_beside=not no_projector,
                    outtype=outtype,
                    on_progress=on_progress,
                )
            ]
    return _say(screen, came)


@command("scan")
@click.argument("folders", nargs=-1, type=_PATH, metavar="[FOLDER]…")
@click.option("--add", "adds", is_flag=True, help="Add each that is not stored yet.")
def scan(screen: Screen, folders: tuple[Path, ...], adds: bool) -> Scan:
    """Find models that other programs downloaded, or below each FOLDER.

    Without FOLDER: the caches of LM Studio, llama.cpp, Hugging Face, Ollama and
    GPT4All. Nothing is read but headers; --add links, and copies only where the file
    system cannot.
    """
    from localkit.store.scanning.adding import add_seen
    from localkit.store.scanning.places import given_place, known_places
    from localkit.store.scanning.scan import scan as look

    layout = default_kit().store.layout
    missing = [str(one) for one in folders if not one.expanduser().is_dir()]
    if missing:
        raise UsageError(
            f"'{missing[0]}' is not a folder", hint="`add FILE` takes one file"
        )
    places = [given_place(folder) for folder in folders]
    if not folders:
        ollama = settings().ollama_dirs
        places = known_places(OtherTools(), ollama=ollama, home=Path.home())
    with screen.progress() as on_progress:
        found = look(layout, places, on_progress=on_progress)
    looked = ", ".join(sorted({place.program for place in found.places}))
    empty = f"no models in the folders of {looked}" if looked else _NOTHING
    rows = [_row(one) for one in found.sightings]
    screen.table(Table(_HEADERS, rows, "<<<>><", empty=empty))
    for cut in found.cuts:
        screen.say(f"not everything was looked at: {cut}")
    waiting = found.to_add
    if not adds:
        if waiting:
            total = sum(one.found.size for one in waiting)
            screen.say(
                f"{len(waiting)} not stored yet ({size(total)}): `scan --add` adds them"
            )
        return found
    with screen.progress() as on_progress:
        added = list(add_seen(layout, waiting, on_progress=on_progress))
    _say(
        screen,
        [one.receipt or one.trouble or StoreError("it was not added") for one in added],
    )
    return found


_HEADERS = ("file", "model", "quant", "bits/weight", "size", "stored")
_NOTHING = "none of the folders where other programs keep models is here"


def _row(one: Sighting) -> tuple[str, ...]:
    found = one.found
    path = str(found.path)
    if len(found.files) > 1:
        path += f" (+{len(found.files) - 1} parts)"
    if found.trouble is not None:
        name = "" if one.ref is None else str(one.ref)
        return path, name, "", "", size(found.size), f"cannot be: {found.trouble}"
    if found.info is None:
        return path, str(found.kind), "", "", size(found.size), "with its model"
    name = found.info.name if one.ref is None else str(one.ref)
    bits = f"{found.info.bits_per_weight:.2f}"
    return path, name, found.info.label, bits, size(found.size), one.stored


def _say(
    screen: Screen, came: list[CreateReceipt | LocalkitError]
) -> list[CreateReceipt]:
    """Say what came in and what did not; fail when something did not."""
    receipts = [one for one in came if not isinstance(one, LocalkitError)]
    for receipt in receipts:
        screen.say(receipt_line(receipt))
        for note in receipt.notes:
            screen.say(f"  {note}")
    troubles = [one for one in came if isinstance(one, LocalkitError)]
    for trouble in troubles[1:]:
        screen.say(trouble.one_line())
    if troubles:
        raise troubles[0]
    return receipts


def _check_together(
    ref: str | None,
    projector: Path | None,
    no_projector: bool,
    base: str | None,
    every: bool,
) -> None:
    if every and (ref is not None or projector is not None or base is not None):
        raise UsageError(
            "--all names each model after its file and takes what lies beside it",
            hint="leave REF, --projector and --adapter-of out, or --all",
        )
    if base is not None and (projector is not None or no_projector):
        raise UsageError(
            "an adapter has no projector of its own",
            hint="leave --projector and --no-projector out",
        )
    if projector is not None and no_projector:
        raise UsageError(
            "--projector and --no-projector contradict each other",
            hint="leave one out",
        )
