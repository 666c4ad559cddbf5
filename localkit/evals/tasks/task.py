"""A task: questions with choices, one of them right, and how they are asked."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.datasets import read_rows
from localkit.evals.tasks.sample import Sample
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.scorers.protocol import Scorer
    from localkit.evals.tasks.datasets import Data, Row

Norm = Literal["none", "token", "char", "byte"]
NORMS: Mapping[Norm, str] = {
    "none": "Σ log p of the choice: lm-evaluation-harness `acc`",
    "token": "÷ tokens scored, from the first that tells the choices apart: "
    "llama-perplexity `--hellaswag`",
    "char": "÷ characters of the choice: lm-evaluation-harness `acc_norm`",
    "byte": "÷ UTF-8 bytes of the choice: lm-evaluation-harness `acc_bytes`",
}
"""What a choice's log-likelihood is divided by, and the tool that does the same."""

PLACEHOLDER = re.compile(r"\{(\w+)\}")
MAX_CHOICES = 64


Method = Literal["choices", "generate", "retrieve"]
"""How a model is asked: log-likelihoods of choices, a written answer, embeddings."""

Reduction = Literal["mean", "pass@k", "pass^k"]
"""What the epochs of a sample make together: the mean, or the chance that at least
one of ``k`` answers is right (`pass@k`), or that all ``k`` are (`pass^k`)."""

GREEDY = SamplingParams(temperature=0.0, max_tokens=256, seed=0)


class Exchange(NamedTuple):
    """A question with its answer, shown before the one that is asked."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Task:
    """Samples, how a model is asked them, and what its answers are worth."""

    name: str
    samples: tuple[Sample, ...]
    method: Method = "choices"
    joiner: str = " "
    """Text between prompt and choice."""
    norm: Norm = "char"
    scorers: tuple[Scorer, ...] = ()
    """The first one's score is the task's; the others stand beside it."""
    system: str = ""
    """Instructions put first, as the system message."""
    examples: tuple[Exchange, ...] = ()
    """Few-shot: shown before every sample, as turns of a conversation or as text."""
    chat: bool = True
    """Written answers: through the chat template; False: raw text is continued."""
    params: SamplingParams = GREEDY
    """How written answers are sampled."""
    epochs: int = 1
    """How often each sample is asked, with seeds that count up."""
    reduction: Reduction = "mean"
    k: int = 1
    """Of `pass@k` and `pass^k`; at most `epochs`."""
    licence: str = ""
    source: str = ""
    citation: str = ""

    @property
    def digest(self) -> str:
        """sha256 over what is asked and how it is scored: equal means the same test.

        Without what is applied after scores are stored: the norm, the reduction, the
        number of epochs.
        """
        asked = [
            [s.id, s.prompt, s.choices, s.gold, s.target, s.fields]
            for s in self.samples
        ]
        how: dict[str, Any] = {"method": self.method, "examples": self.examples}
        if self.method == "choices":
            how["joiner"] = self.joiner
        else:
            scorers = [[one.name, dict(one.definition())] for one in self.scorers]
            how |= {
                "system": self.system,
                "chat": self.chat,
                "params": asdict(self.params),
                "scorers": scorers,
            }
        text = json.dumps([how, asked], ensure_ascii=False, sort_keys=True, default=str)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class TaskForm(BaseModel):
    """How rows of a data set become items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1)
    """Text of the prompt, fields of the row in braces: ``Question: {question}``."""
    choices: str | list[str]
    """Field that holds the list of choices, or the fields that hold one each."""
    answer: str
    """Field that says which is right: an index from 0, or a letter from A."""
    id: str | None = None
    """Field that names the row; None: its number, from 0."""
    joiner: str = " "
    """Text between prompt and choice."""
    norm: Norm = "char"
    """What a choice's log-likelihood is divided by (see `NORMS`)."""


class TaskFile(TaskForm):
    """What a task file (TOML) holds."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    kind: Literal["multiple_choice"]
    data: str = Field(pattern=r"^\w[\w.-]*$")
    """File beside the task file."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of the data file's bytes."""
    licence: str = Field(min_length=1)
    """Licence of the data, as an SPDX expression."""
    source: str = Field(min_length=1)
    """Where the data comes from."""
    citation: str = ""


def task_from_data(
    name: str,
    data: Data,
    *,
    prompt: str,
    choices: str | list[str],
    answer: str,
    id: str | None = None,
    joiner: str = " ",
    norm: Norm = "char",
) -> Task:
    """Make a task of rows in a file or in memory.

    Args:
        name: What results call it.
        data: JSON Lines or CSV file, list of mappings, DataFrame or Dataset.
        prompt: Text of the prompt, fields of a row in braces.
        choices: Field with the list of choices, or one field a choice.
        answer: Field with the right one: an index from 0, or a letter from A.
        id: Field that names a row; by default its number, from 0.
        joiner: Text between prompt and choice.
        norm: What a choice's log-likelihood is divided by (see `NORMS`).

    Raises:
        DatasetInvalid: the data cannot be read, or a row lacks what it must have.
    """
    form = TaskForm(
        prompt=prompt, choices=choices, answer=answer, id=id, joiner=joiner, norm=norm
    )
    items = make_samples(name, form, read_rows(data))
    return Task(name=name, samples=items, joiner=joiner, norm=norm)


def make_samples(name: str, form: TaskForm, rows: Sequence[Row]) -> tuple[Sample, ...]:
    """Return one item a row.

    Raises:
        DatasetInvalid: there is no row, a row lacks a field or has no such
            answer, or two rows have the same id.
    """
    items = tuple(_item(name, form, row, number) for number, row in enumerate(rows))
    if not items:
        msg = f"task {name} has no items"
        raise DatasetInvalid(msg, hint="give at least one row")
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            msg = f"task {name} has two items with the id '{item.id}'"
            raise DatasetInvalid(msg, hint="give every row an id of its own")
        seen.add(item.id)
    return items


def _item(name: str, form: TaskForm, row: Row, number: int) -> Sample:
    where = f"row {number} of {name}"
    prompt = PLACEHOLDER.sub(
        lambda match: _text(_field(row, match[1], where), match[1], where), form.prompt
    )
    if isinstance(form.choices, str):
        values = _field(row, form.choices, where)
        # A list read from Parquet comes as an array.
        values = values.tolist() if hasattr(values, "tolist") else values
        names = [form.choices] * len(values) if isinstance(values, list) else []
    else:
        names = form.choices
        values = [_field(row, choice, where) for choice in names]
    if not 2 <= len(names) <= MAX_CHOICES:
        msg = f"{where} has {len(names)} choices"
        raise DatasetInvalid(msg, hint=f"give a list of 2 to {MAX_CHOICES} texts")
    choices = tuple(
        _text(value, field, where) for field, value in zip(names, values, strict=True)
    )
    gold = _index(_field(row, form.answer, where), len(choices), where)
    identity = str(number) if form.id is None else str(_field(row, form.id, where))
    return Sample(id=identity, prompt=prompt, choices=choices, gold=gold)


def _field(row: Row, field: str, where: str) -> Any:
    try:
        return row[field]
    except KeyError as error:
        msg = f"{where} has no field '{field}'"
        raise DatasetInvalid(msg, hint=f"it has {', '.join(row)}") from error


def _text(value: object, field: str, where: str) -> str:
    # A number is a fair prompt or choice; None and NaN are missing values.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        msg = f"{where} has no text in field '{field}'"
        raise DatasetInvalid(msg, hint="fill it in, or leave the row out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        msg = f"{where} has half a character in field '{field}'"
        raise DatasetInvalid(msg, hint="write the data as UTF-8 again")
    return value


def _index(value: object, n_choices: int, where: str) -> int:
    """Return the index that an answer means: 2, "2" and "C" are the same."""
    text = str(value).strip()
    if re.fullmatch(r"[0-9]{1,3}", text):
        index = int(text)
    elif re.fullmatch(r"[A-Z]", text):
        index = ord(text) - ord("A")
    else:
        index = -1
    if not 0 <= index < n_choices:
        msg = f"{where} has the answer '{text[:20]}' for {n_choices} choices"
        raise DatasetInvalid(msg, hint="give an index from 0, or a letter from A")
    return index
