"""Commands that make a model of another: create, cp."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localkit.cli.group import command
from localkit.cli.parameters import (
    complete_model,
    complete_quant,
    model_argument,
    tensor_type,
)
from localkit.creating import (
    Quantization,
    create_from,
    put_over,
    read_modelfile,
)
from localkit.errors import ModelfileInvalid, UsageError
from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.store.modelfile.grammar import MAX_SIZE, ROLES
from localkit.store.modelfile.modelfile import Modelfile, parse
from localkit.store.modelfile.parameters import from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.cli.screen import Screen
    from localkit.store import CopyReceipt, CreateReceipt

_USUAL_FILE = Path("Modelfile")
_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Weights:
    """What to make of the weights: the options that a cell takes too."""

    quantize: str | None
    imatrix: Path | None
    tensor_types: tuple[str, ...]
    requantize: bool

    def quantization(self) -> Quantization | None:
        """Return these options as one value; None leaves the weights as they are.

        Raises:
            UsageError: an option that only quantizing has a use for.
        """
        if self.quantize is None:
            if self.imatrix or self.tensor_types or self.requantize:
                msg = "nothing is quantized without -q"
                raise UsageError(msg, hint="say to what: -q Q4_K_M")
            return None
        return Quantization(
            self.quantize,
            imatrix=None if self.imatrix is None else self.imatrix.expanduser(),
            tensor_types=tuple(tensor_type(text) for text in self.tensor_types),
            allow_requantize=self.requantize,
        )


_WEIGHTS = (
    click.option(
        "-q",
        "--quantize",
        metavar="QUANT",
        shell_complete=complete_quant,
        help="Make weights of another file type: Q4_K_M.",
    ),
    click.option(
        "--imatrix", type=_FILE, metavar="FILE", help="…with an importance matrix."
    ),
    click.option(
        "--tensor-type",
        "tensor_types",
        multiple=True,
        metavar="PATTERN=TYPE",
        help="…where tensors whose names match get a type of their own.",
    ),
    click.option(
        "--requantize",
        is_flag=True,
        help="…even of quantized weights, whose loss stays.",
    ),
)


def weights_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options to a command, which gets them as one ``weights``."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> object:
        names = ("quantize", "imatrix", "tensor_types", "requantize")
        weights = Weights(**{name: kwargs.pop(name) for name in names})
        return function(*args, weights=weights, **kwargs)

    for option in reversed(_WEIGHTS):
        run = option(run)
    return run


@command("create")
@click.argument("name")
@click.option(
    "-f",
    "--file",
    type=_FILE,
    metavar="FILE",
    help="The Modelfile; - reads standard input. [default: ./Modelfile, unless --from]",
)
@click.option(
    "--from",
    "from_",
    metavar="MODEL|PATH",
    shell_complete=complete_model,
    help="A stored model, a GGUF or a folder of weights to start from.",
)
@click.option("--system", metavar="TEXT", help="Instructions for conversations.")
@click.option("--template", type=_FILE, metavar="FILE", help="File of a Go template.")
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter by Ollama's name: temperature=0, num_ctx=8192. Repeatable.",
)
@click.option(
    "--message",
    "messages",
    type=(click.Choice(ROLES), str),
    multiple=True,
    metavar="ROLE TEXT",
    help="What stands before every conversation. Repeatable.",
)
@click.option(
    "--adapter",
    "adapters",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="A LoRA adapter in GGUF. Repeatable.",
)
@click.option(
    "--license",
    "licences",
    multiple=True,
    metavar="NAME|FILE",
    help="A licence: its name, or the file of its text. Repeatable.",
)
@weights_options
def create(
    screen: Screen,
    name: str,
    file: Path | None,
    from_: str | None,
    weights: Weights,
    **said: Any,
) -> CreateReceipt:
    """Make a model NAME of a Modelfile, or of options.

    A variant of a stored model shares its weights: nothing is copied. Options go over
    what the Modelfile says. In a notebook `%%modelfile NAME` takes it from the cell.
    """
    over = _said(from_, **said)
    folder = Path()
    whole = over
    if file is not None or from_ is None:
        whole, folder = _read(file)
        whole = put_over(whole, over)
    return make(screen, name, whole, weights, folder=folder)


def make(
    screen: Screen, name: str, modelfile: Modelfile, weights: Weights, *, folder: Path
) -> CreateReceipt:
    """Make a model and say what was made."""
    quantization = weights.quantization()
    with screen.progress() as on_progress:
        receipt = create_from(
            default_kit(),
            name,
            modelfile,
            folder=folder,
            quantization=quantization,
            on_progress=on_progress,
        )
    model = receipt.model
    screen.say(
        f"{model.ref}: {model.info.label}, {size(model.manifest.size)} in all, "
        f"{size(receipt.new)} of it new to the store"
    )
    for note in receipt.notes:
        screen.say(f"note: {note}")
    return receipt


@command("cp")
@model_argument()
@click.argument("target", metavar="NAME")
def copy(screen: Screen, model: str, target: str) -> CopyReceipt:
    """Give MODEL a second name; both share every byte."""
    receipt = default_kit().store.copy(model, target)
    screen.say(f"{receipt.ref} is {receipt.source}")
    return receipt


def _read(file: Path | None) -> tuple[Modelfile, Path]:
    """Return a Modelfile, and the folder that its paths begin in."""
    if file is None and not _USUAL_FILE.exists():
        msg = "there is no Modelfile here"
        raise UsageError(msg, hint="give -f FILE, or --from and options")
    if str(file) == "-":
        data = sys.stdin.buffer.read(MAX_SIZE + 1)
        return parse(data), Path()
    path = _USUAL_FILE if file is None else file.expanduser()
    return read_modelfile(path), path.parent


def _said(
    from_: str | None,
    *,
    system: str | None,
    template: Path | None,
    params: Sequence[str],
    messages: Sequence[tuple[str, str]],
    adapters: Sequence[Path],
    licences: Sequence[str],
) -> Modelfile:
    """Return the options as a Modelfile; its paths begin here."""
    return Modelfile(
        sources=() if from_ is None else (from_,),
        params=_params(params),
        template=None if template is None else _text(template),
        system=system,
        adapters=tuple(str(one.expanduser().absolute()) for one in adapters),
        licences=tuple(
            _text(Path(one)) if Path(one).is_file() else one for one in licences
        ),
        messages=tuple({"role": role, "content": text} for role, text in messages),
    )


def _params(texts: Sequence[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            msg = f"--param is '{text}'"
            raise UsageError(msg, hint="give NAME=VALUE, such as temperature=0")
        read = from_text(name.strip(), value)
        params[name.strip()] = (
            [*params.get(name.strip(), ()), *read] if isinstance(read, list) else read
        )
    return params


def _text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        SourceNotFound: there is no plain file.
        ModelfileInvalid: it is too large, or not UTF-8.
    """
    from localkit.io.regular import open_regular

    with open_regular(path.expanduser()) as stream:
        data = stream.read(MAX_SIZE + 1) or b""
    try:
        if len(data) <= MAX_SIZE:
            return data.decode()
        reason = f"larger than {MAX_SIZE >> 20} MiB"
    except UnicodeDecodeError:
        reason = "not UTF-8"
    raise ModelfileInvalid(f"{path} is {reason}", hint="give a text file")
