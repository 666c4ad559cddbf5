"""Find and load tasks and texts: those that come with localkit, and the user's."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.datasets import decode, parse_rows, read_bytes
from localkit.evals.tasks.task import Task, TaskFile, make_samples

TASK_FILE, TEXT_FILE = "task.toml", "text.toml"
MAX_CARD_BYTES = 1 << 20
MAX_TEXT_BYTES = 64 << 20

Card = TypeVar("Card", bound=BaseModel)


class TextFile(BaseModel):
    """What the card of a packaged text (TOML) holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    data: str = Field(pattern=r"^\w[\w.-]*$")
    """File beside the card."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the data file's bytes."""
    licence: str = Field(min_length=1)
    source: str = Field(min_length=1)
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to measure perplexity on."""

    name: str
    text: str
    digest: str
    """sha256 of its UTF-8 bytes."""
    licence: str = ""
    source: str = ""


def packaged() -> Path:
    """Return the folder of the tasks and texts that come with localkit.

    ``localkit/_evals`` in an installed wheel, ``evals`` beside the package in a
    checkout.

    Raises:
        DatasetInvalid: neither is there.
    """
    package = Path(__file__).parents[2]
    for folder in (package / "_evals", package.parent / "evals"):
        if folder.is_dir():
            return folder
    msg = "the tasks that come with localkit are missing from this installation"
    raise DatasetInvalid(msg, hint="install localkit again, or name a task file")


def task_names() -> list[str]:
    """Return the names of the packaged tasks."""
    return sorted(card.parent.name for card in packaged().glob(f"*/{TASK_FILE}"))


def text_names() -> list[str]:
    """Return the names of the packaged texts."""
    return sorted(card.parent.name for card in packaged().glob(f"text/*/{TEXT_FILE}"))


def load_task(name: str | Path) -> Task:
    """Load a packaged task by name, or a task file by path.

    Raises:
        DatasetInvalid: there is no such task, or its file or data is damaged.
    """
    folder = _packaged_folder(name, task_names(), packaged(), "task", TASK_FILE)
    path = folder / TASK_FILE if folder.is_dir() else folder
    card = _card(path, TaskFile)
    content = _data(path, card.data, card.sha256)
    return Task(
        name=card.name,
        samples=make_samples(card.name, card, list(parse_rows(content, card.data))),
        joiner=card.joiner,
        norm=card.norm,
        licence=card.licence,
        source=card.source,
        citation=card.citation,
    )


def load_text(name: str | Path = "jargon-file") -> Text:
    """Load a packaged text by name, or any UTF-8 file by path.

    Raises:
        DatasetInvalid: there is no such text, it is not UTF-8, or damaged.
    """
    folder = _packaged_folder(
        name, text_names(), packaged() / "text", "text", TEXT_FILE
    )
    if not folder.is_dir():
        content = read_bytes(folder, most=MAX_TEXT_BYTES)
        return Text(folder.name, decode(content, folder.name), _sha256(content))
    card = _card(folder / TEXT_FILE, TextFile)
    content = _data(folder / TEXT_FILE, card.data, card.sha256)
    return Text(
        name=card.name,
        text=decode(content, card.data),
        digest=_sha256(content),
        licence=card.licence,
        source=card.source,
    )


def _packaged_folder(
    name: str | Path, names: list[str], folder: Path, what: str, card: str
) -> Path:
    """Return the folder of a packaged thing, or the path that the user gave."""
    if isinstance(name, str) and name in names:
        return folder / name
    path = Path(name).expanduser()
    if path.is_file() or (path / card).is_file():
        return path
    near = difflib.get_close_matches(str(name), names, n=3)
    msg = f"there is no {what} '{name}'"
    raise DatasetInvalid(
        msg, hint=f"take {', '.join(near or names)}, or the path of a file"
    )


def _card(path: Path, kind: type[Card]) -> Card:
    text = decode(read_bytes(path, most=MAX_CARD_BYTES), path.name)
    try:
        return kind.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        msg = f"{path.name} is not TOML: {error}"
        raise DatasetInvalid(msg, hint="see the packaged tasks for the form") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        msg = f"{path.name}: {field}: {first['msg']}"
        raise DatasetInvalid(msg, hint="see the packaged tasks for the form") from error


def _data(card: Path, name: str, sha256: str) -> bytes:
    """Return the bytes of the file beside a card, if they are the stated ones."""
    content = read_bytes(card.parent / name)
    if _sha256(content) != f"sha256:{sha256}":
        msg = f"{name} does not hash to what {card.name} states"
        raise DatasetInvalid(msg, hint="get the file again, or state its new sha256")
    return content


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
