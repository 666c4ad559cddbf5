"""Samples of the rows of a data set."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localkit.chat.tools import as_tools
from localkit.errors import DatasetInvalid, UsageError
from localkit.evals.tasks.filling import PLACEHOLDER, field_of, fill, text_in
from localkit.evals.tasks.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.tasks.datasets import Row
    from localkit.evals.tasks.form import TaskForm

MAX_CHOICES = 64
MAX_DEPTH = 64
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def make_samples(
    name: str, form: TaskForm, rows: Sequence[Row], *, first: int = 0
) -> tuple[Sample, ...]:
    """Return one sample a row; ``first`` is the number of the first row.

    Raises:
        DatasetInvalid: there is no row, a row lacks a field or has no such
            answer, or two rows have the same id.
    """
    samples = tuple(
        make_sample(name, form, row, number) for number, row in enumerate(rows, first)
    )
    if not samples:
        msg = f"task {name} has no items"
        raise DatasetInvalid(msg, hint="give at least one row")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            msg = f"task {name} has two items with the id '{sample.id}'"
            raise DatasetInvalid(msg, hint="give every row an id of its own")
        seen.add(sample.id)
    return samples


def make_sample(name: str, form: TaskForm, row: Row, number: int) -> Sample:
    """Return the sample of one row, the ``number``-th from 0.

    Raises:
        DatasetInvalid: the row lacks a field, or has no such answer.
    """
    where = f"row {number} of {name}"
    fields = _plain(row, where, MAX_DEPTH)
    choices: tuple[str, ...] = ()
    gold = -1
    if form.choices is not None:
        choices = _choices(form.choices, fields, where)
        if form.answer is None:
            msg = f"task {name} has choices and no field that says which is right"
            raise DatasetInvalid(msg, hint="give answer=")
        right = field_of(fields, form.answer, where)
        gold = _index(right, choices, form.answers_from, where)
    if form.letters or "lettered" in PLACEHOLDER.findall(form.prompt):
        if not 2 <= len(choices) <= len(LETTERS):
            msg = f"{where} has {len(choices)} choices to put letters to"
            raise DatasetInvalid(msg, hint=f"give 2 to {len(LETTERS)}")
        lettered = "\n".join(
            f"{a}. {b}" for a, b in zip(LETTERS, choices, strict=False)
        )
        fields = {**fields, "lettered": lettered}
    if form.letters:
        choices = tuple(LETTERS[: len(choices)])
    # Whoever asks offers what it finds under this name, so it must be tools.
    tools = form.tools or ("tools" if form.choices is None else None)
    if tools is not None and (form.tools or fields.get("tools")):
        fields = {**fields, "tools": _tools(tools, fields, where)}
    return Sample(
        id=str(number) if form.id is None else _name(form.id, fields, where),
        prompt=fill(form.prompt, fields, where),
        choices=choices,
        gold=gold,
        target=_targets(form, fields, where),
        fields=fields,
        group="" if form.group is None else _name(form.group, fields, where),
    )


def _name(field: str, row: Row, where: str) -> str:
    value = field_of(row, field, where)
    if value is None or value == "":
        msg = f"{where} has nothing in field '{field}'"
        raise DatasetInvalid(msg, hint="fill it in, or leave the row out")
    return str(value)


def _choices(form: str | list[str], row: Row, where: str) -> tuple[str, ...]:
    if isinstance(form, str) and "{" not in form:
        values = field_of(row, form, where)
        names = [form] * len(values) if isinstance(values, list) else []
    else:
        names = [form] if isinstance(form, str) else form
        values = [_filled_or_field(one, row, where) for one in names]
    if not 2 <= len(names) <= MAX_CHOICES:
        msg = f"{where} has {len(names)} choices"
        raise DatasetInvalid(msg, hint=f"give a list of 2 to {MAX_CHOICES} texts")
    pairs = zip(names, values, strict=True)
    return tuple(text_in(value, field, where) for field, value in pairs)


def _targets(form: TaskForm, row: Row, where: str) -> tuple[str, ...]:
    if form.target_text is not None:
        return (form.target_text,)
    if form.target is None:
        return ()
    names = [form.target] if isinstance(form.target, str) else form.target
    return tuple(
        text
        for name in names
        for text in _target_texts(_filled_or_field(name, row, where), name, where)
    )


def _target_texts(value: object, field: str, where: str) -> list[str]:
    """Return the answers that a value means; an object is one answer, as JSON."""
    if isinstance(value, bool):
        return [json.dumps(value)]
    if isinstance(value, Mapping) or (
        isinstance(value, list)
        and (not value or any(isinstance(one, Mapping | list) for one in value))
    ):
        return [json.dumps(value, ensure_ascii=False)]
    if isinstance(value, list):
        return [text_in(one, field, where) for one in value]
    return [text_in(value, field, where)]


def _filled_or_field(name: str, row: Row, where: str) -> Any:
    return fill(name, row, where) if "{" in name else field_of(row, name, where)


def _tools(tools: str | list[dict[str, Any]], row: Row, where: str) -> list[Any]:
    given = field_of(row, tools, where) if isinstance(tools, str) else tools
    try:
        if isinstance(given, str):
            given = json.loads(given)
        if not isinstance(given, list):
            msg = f"a {type(given).__name__} is no list of tools"
            raise UsageError(msg, hint="give a list")
        return [tool.as_dict() for tool in as_tools(given)]
    except (ValueError, RecursionError, UsageError) as error:
        said = error.one_line() if isinstance(error, UsageError) else str(error)
        msg = f"{where}: tools: {said}"
        hint = "give tools as the OpenAI API has them, or call the field otherwise"
        raise DatasetInvalid(msg, hint=hint) from error


def _index(value: object, choices: Sequence[str], first: int, where: str) -> int:
    """Return the index that an answer means: 2, "2", "C" and its text are the same.

    A number is never read as a text, so that choices may be numbers.
    """
    text = str(value).strip()
    if re.fullmatch(r"[0-9]{1,3}", text):
        index = int(text) - first
    elif re.fullmatch(r"[A-Z]", text):
        index = ord(text) - ord("A")
    else:
        named = [at for at, choice in enumerate(choices) if choice.strip() == text]
        index = named[0] if len(named) == 1 else -1
    if not 0 <= index < len(choices):
        msg = f"{where} has the answer '{text[:20]}' for {len(choices)} choices"
        hint = f"give an index from {first}, a letter from A, or a choice's text"
        raise DatasetInvalid(msg, hint=hint)
    return index


def _plain(value: Any, where: str, depth: int) -> Any:
    """Return a value as JSON has it: what can be stored, hashed and sent on."""
    if depth == 0:
        msg = f"{where} is nested deeper than {MAX_DEPTH}"
        raise DatasetInvalid(msg, hint="flatten it, or leave the field out")
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        pairs = value.items()
        return {str(key): _plain(one, where, depth - 1) for key, one in pairs}
    if isinstance(value, list | tuple):
        return [_plain(one, where, depth - 1) for one in value]
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        return _plain(value.tolist(), where, depth - 1)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    msg = f"{where} holds a {type(value).__name__}"
    raise DatasetInvalid(msg, hint="leave out the columns that are no text or number")
