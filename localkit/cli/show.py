"""The command that shows what is known about a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from localkit.chat.capabilities import capabilities, control_texts
from localkit.chat.template_choice import choice_of, doubts
from localkit.cli.group import command
from localkit.cli.parameters import model_argument
from localkit.cli.screen import Screen, Table
from localkit.errors import UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.digest import short_id
from localkit.store.licences import licences_of
from localkit.store.modelfile import emit
from localkit.store.modelfile.parameters import PARAMETERS, RETIRED

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.gguf.info import ModelInfo
    from localkit.store import StoredModel

_SHOWN_ITEMS = 5
_SHOWN_CHARS = 100
_PARTS = ("modelfile", "template", "system", "parameters", "license")


@command("show")
@model_argument()
@click.option("--modelfile", is_flag=True, help="Only what would make it again.")
@click.option("--template", is_flag=True, help="Only the chat template.")
@click.option("--system", is_flag=True, help="Only the system message.")
@click.option("--parameters", is_flag=True, help="Only the parameters it carries.")
@click.option("--license", is_flag=True, help="Only the licence text.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Every key of the header and type of weight."
)
def show(
    screen: Screen,
    model: str,
    verbose: bool,
    **parts: bool,
) -> StoredModel:
    """Show what is known about MODEL.

    The quant is a label that whoever made the file chose; bits per weight and
    the types are counted from the tensors.
    """
    asked = [part for part in _PARTS if parts[part]]
    if len(asked) > 1 or (asked and verbose):
        msg = f"several parts are asked for: {', '.join(asked)}"
        raise UsageError(msg, hint="ask for one at a time")
    stored = default_kit().store.resolve(model)
    if asked:
        _SHOW[asked[0]](screen, stored)
        return stored
    rows = [*_about(stored), *_brings_along(stored)]
    screen.table(Table(("property", "value"), rows, "<<", empty=""))
    if verbose:
        _types(screen, stored.info)
        _metadata(screen, stored)
    return stored


def _about(stored: StoredModel) -> list[tuple[str, str]]:
    """Return what the weights are."""
    info = stored.info
    mix = ", ".join(
        f"{share.type} {_percent(share.n_bytes / info.weights_size)}"
        for share in info.type_mix
    )
    licences = ", ".join(one.terms.name for one in licences_of(stored))
    return [
        ("model", str(stored.ref)),
        ("id", short_id(stored.digest)),
        ("name", info.name),
        ("architecture", info.architecture),
        ("parameters", f"{info.n_params / 1e6:,.1f} M"),
        ("quant", info.label),
        ("bits per weight", f"{info.bits_per_weight:.2f}"),
        ("types by bytes", mix),
        *([("importance matrix of", info.imatrix)] if info.imatrix else []),
        ("file size", size(info.file_size)),
        ("training context", f"{info.n_ctx_train:,} tokens"),
        ("layers", f"{info.n_layers} of width {info.n_embd}"),
        ("heads", f"{info.n_heads} ({info.n_heads_kv} for keys and values)"),
        ("vocabulary", f"{info.n_vocab:,} tokens ({info.tokenizer})"),
        ("capabilities", ", ".join(capabilities(stored)) or "none known"),
        ("chat template", _template(stored)),
        ("licence", licences or "not stated"),
    ]


def _template(stored: StoredModel) -> str:
    choice = choice_of(stored)
    if choice is None:
        return "none"
    controls = control_texts(stored.weights) if choice.kind == "go" else None
    return "; ".join([choice.label, *doubts(choice, controls)])


def _brings_along(stored: StoredModel) -> list[tuple[str, str]]:
    """Return what goes with the weights, where anything does."""
    config = stored.config
    params = ", ".join(
        f"{name} {one}"
        for name, value in stored.params.items()
        for one in (value if isinstance(value, list) else [value])
    )
    rows = [
        ("system", stored.system or ""),
        ("parameters it sets", params),
        ("messages before", str(len(stored.messages) or "")),
        ("adapters", str(len(stored.adapters) or "")),
        ("projector", "yes" if stored.projector else ""),
        ("draft model", "yes" if stored.draft else ""),
        ("renderer of Ollama", config.renderer),
        ("parser of Ollama", config.parser),
        ("requires Ollama", config.requires),
    ]
    return [(name, value) for name, value in rows if value]


def _types(screen: Screen, info: ModelInfo) -> None:
    rows = [
        (
            share.type,
            str(share.n_tensors),
            f"{share.n_weights:,}",
            size(share.n_bytes),
            _percent(share.n_bytes / info.weights_size),
        )
        for share in info.type_mix
    ]
    headers = ("type", "tensors", "weights", "bytes", "share")
    screen.table(Table(headers, rows, "<>>>>", empty="no tensors"))


def _metadata(screen: Screen, stored: StoredModel) -> None:
    from localkit.gguf import read_header

    values = read_header(stored.weights).kv
    rows = [(key, _value(value)) for key, value in values.items()]
    screen.table(Table(("key", "value"), rows, "<<", empty="no metadata"))


def _value(value: Any) -> str:
    """Return a metadata value; of a long text or array, the beginning."""
    if isinstance(value, str | int | float):
        text = str(value)
        more = f" … {len(text):,} characters" if len(text) > _SHOWN_CHARS else ""
        return text[:_SHOWN_CHARS] + more
    items = [
        one.decode(errors="replace") if isinstance(one, bytes) else str(one)
        for one in value[:_SHOWN_ITEMS]
    ]
    more = f", … {len(value):,} in all" if len(value) > _SHOWN_ITEMS else ""
    return ", ".join(items) + more


def _show_modelfile(screen: Screen, stored: StoredModel) -> None:
    screen.say(emit(stored).rstrip("\n"))


def _show_template(screen: Screen, stored: StoredModel) -> None:
    choice = choice_of(stored)
    screen.say(
        f"{stored.ref} has no chat template" if choice is None else choice.source
    )


def _show_system(screen: Screen, stored: StoredModel) -> None:
    screen.say(stored.system or f"{stored.ref} has no system message of its own")


def _show_parameters(screen: Screen, stored: StoredModel) -> None:
    rows = []
    for name, value in stored.params.items():
        known = PARAMETERS.get(name)
        does = known.does if known else RETIRED.get(name, "no effect: not known here")
        values = value if isinstance(value, list) else [value]
        rows += [(name, str(one), does) for one in values]
    headers = ("parameter", "value", "what it does")
    empty = f"{stored.ref} sets no parameters"
    screen.table(Table(headers, rows, "<<<", empty=empty))


def _show_license(screen: Screen, stored: StoredModel) -> None:
    screen.say(stored.licence or f"{stored.ref} states no licence")


_SHOW: dict[str, Callable[[Screen, StoredModel], None]] = {
    "modelfile": _show_modelfile,
    "template": _show_template,
    "system": _show_system,
    "parameters": _show_parameters,
    "license": _show_license,
}


def _percent(share: float) -> str:
    """Return a share as per cent; a little is not nothing."""
    return f"{share:.1%}" if share >= 0.001 else "< 0.1%"
