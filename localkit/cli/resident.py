"""Commands over what is loaded, and over the machine: ps, unload, info."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import psutil

from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.screen import Screen, Table
from localkit.errors import EngineMissing
from localkit.evals.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.model import Model

_NOTHING_LOADED = "no model is loaded in this process"


@command("ps")
def list_resident(screen: Screen) -> list[Model]:
    """List the models that are loaded here, with their memory."""
    models = default_kit().resident()
    rows = []
    for model in models:
        session, memory = model.session, model.session.memory
        runs_on = session.fingerprint
        rows.append(
            (
                str(model.stored.ref),
                f"{session.n_ctx:,}",
                size(memory.weights),
                size(memory.kv),
                size(memory.compute),
                runs_on.backend,
                str(runs_on.n_threads),
            )
        )
    headers = ("model", "context", "weights", "KV", "compute", "runs on", "threads")
    screen.table(Table(headers, rows, "<>>>><>", empty=_NOTHING_LOADED))
    return models


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
