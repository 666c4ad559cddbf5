"""Commands over what is loaded, and over the machine: ps, unload, info."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import psutil

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.progress import duration
from localkit.cli.screen import Screen, Table
from localkit.errors import EngineMissing
from localkit.evals.report.figures import rate, size
from localkit.kit import default_kit
from localkit.store.digest import short_id
from localkit.widgets.monitor.figures import state_of

if TYPE_CHECKING:
    from localkit.model import Model
    from localkit.runtime.pool.standing import Standing

_NOTHING_LOADED = "no model is loaded in this process"
_HEADERS = (
    "model",
    "digest",
    "quant",
    "runs on",
    "context",
    "slots",
    "queued",
    "weights",
    "KV",
    "compute",
    "tok/s",
    "state",
)
_KINDS = ("weights", "kv", "compute")
_ALIGN = "<<<<>>>>>>><"


@command("ps")
def list_resident(screen: Screen) -> list[Standing]:
    """List the models that are loaded here: where, how busy, for how long."""
    found = default_kit().ps()
    rows = [_row(one) for one in found]
    screen.table(Table(_HEADERS, rows, _ALIGN, empty=_NOTHING_LOADED))
    return found


def _row(one: Standing) -> tuple[str, ...]:
    memory, activity = one.memory, one.activity
    here = one.state != "unloaded"
    return (
        one.name,
        short_id(one.digest),
        one.quant,
        one.lies if here else "",
        f"{one.n_ctx:,}" if one.n_ctx else "",
        f"{activity.n_busy}/{activity.n_slots}" if activity else "",
        str(one.n_waiting + (activity.n_queued if activity else 0)) if here else "",
        *(size(getattr(memory, kind)) if memory and here else "" for kind in _KINDS),
        (rate(activity.decode_per_s) if activity.decode_per_s else "0")
        if activity
        else "",
        state_of(one, span=duration),
    )


@command("unload")
@model_argument(required=False)
def unload(screen: Screen, model: str | None) -> list[Model]:
    """Free the memory of MODEL, or of every loaded model."""
    freed = default_kit().unload(model)
    if not freed:
        screen.say(_NOTHING_LOADED)
    for one in freed:
        screen.say(f"unloaded {one.stored.ref}")
    return freed


@command("info")
def info(screen: Screen) -> None:
    """Show versions, engine, devices, memory and folders."""
    kit = default_kit()
    folder = kit.settings.models_dir
    rows = [
        ("localkit", metadata.version("localkit")),
        ("Python", platform.python_version()),
        *_engine(),
        ("memory available", size(psutil.virtual_memory().available)),
        ("model store", str(folder)),
        ("models", str(len(kit.store.list()))),
        ("results", str(kit.settings.runs_db)),
    ]
    screen.table(Table(("what", "value"), rows, "<<", empty=""))


def _engine() -> list[tuple[str, str]]:
    """Return rows about the engine and its devices, or why there is none."""
    from localkit.runtime import hardware

    try:
        devices = hardware.devices()
    except EngineMissing as error:
        return [("engine", error.one_line())]
    version = metadata.version("llama-cpp-python")
    rows = [("engine", f"llama-cpp-python {version}")]
    return rows + [
        (device.name, f"{device.description}, {size(device.total)}")
        for device in devices
    ]
