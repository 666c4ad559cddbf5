"""Find and load tasks and texts: those that come with localkit, and the user's."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.datasets import capped, decode, parse_rows, read_bytes
from localkit.evals.tasks.form import TaskFile, checked

if TYPE_CHECKING:
    from localkit.evals.tasks.datasets import Row
    from localkit.evals.tasks.task import Task

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
    """Load a packaged task by name, a task file by path, or a data file alone.

    A data file (CSV, JSON Lines, Parquet) is read by `task_from_file`, which guesses
    its columns and its scorer and says so in `Task.remark`.

    Raises:
        DatasetInvalid: there is no such task, or its file or data is damaged.
    """
    # Commands import this room for its texts; scorers are needed by tasks alone.
    from localkit.evals.tasks.building import build
    from localkit.evals.tasks.from_file import task_from_file

    path = task_path(name)
    if path.suffix.lower() != ".toml":
        return task_from_file(path)
    card = _card(path, TaskFile)
    fewshot, corpus = card.fewshot_data, card.corpus
    return build(
        card.name,
        card.form(),
        card.asking(),
        _asked_rows(path, card),
        method=card.asks_by,
        scorers=card.scorers,
        params=card.params,
        examples=card.examples,
        fewshot_rows=_rows(path, fewshot, card.fewshot_sha256)
        if fewshot
        else _split(card, card.fewshot_split),
        corpus_rows=_rows(path, corpus, card.corpus_sha256) if corpus else None,
    )


def task_path(name: str | Path) -> Path:
    """Return the file of a packaged task, or the file that the user named.

    Raises:
        DatasetInvalid: there is no such task.
    """
    path = _packaged_folder(name, task_names(), packaged(), "task", TASK_FILE)
    return path / TASK_FILE if path.is_dir() else path


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
        return checked(kind, tomllib.loads(text), path.name)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        msg = f"{path.name} is not TOML: {error}"
        raise DatasetInvalid(msg, hint="see the packaged tasks for the form") from error


def _asked_rows(path: Path, card: TaskFile) -> list[Row]:
    if (card.data is None) == (card.dataset is None):
        msg = f"{path.name} names {'both' if card.data else 'neither'} of data, dataset"
        raise DatasetInvalid(msg, hint="give a file beside it, or a name on the Hub")
    if card.data is not None:
        return _rows(path, card.data, card.sha256)
    return _split(card, card.split) or []


def _split(card: TaskFile, split: str | None) -> list[Row] | None:
    if card.dataset is None or split is None:
        return None
    from localkit.evals.tasks.hub import read_hub

    return read_hub(
        card.dataset, split=split, subset=card.subset, revision=card.revision
    )


def _rows(card: Path, name: str, sha256: str | None) -> list[Row]:
    return list(capped(parse_rows(_data(card, name, sha256), name), name))


def _data(card: Path, name: str, sha256: str | None) -> bytes:
    """Return the bytes of the file beside a card, if they are the stated ones."""
    content = read_bytes(card.parent / name)
    if sha256 is not None and _sha256(content) != f"sha256:{sha256}":
        msg = f"{name} does not hash to what {card.name} states"
        raise DatasetInvalid(msg, hint="get the file again, or state its new sha256")
    return content


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
