"""A task of a file without a card: its columns say what they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.building import build
from localkit.evals.tasks.datasets import read_rows
from localkit.evals.tasks.form import Asking, TaskForm, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.tasks.datasets import Data, Row
    from localkit.evals.tasks.task import Task

PROMPTS = ("prompt", "question", "input", "query", "instruction", "problem", "text")
TARGETS = (
    "expected",
    "expected_answer",
    "expected_output",
    "target",
    "answer",
    "answers",
    "ideal",
    "reference",
    "output",
    "response",
    "completion",
    "solution",
    "label",
)
CHOICES = ("choices", "options")


def task_from_file(path: str | Path, *, name: str | None = None) -> Task:
    """Make a task of a CSV, JSON Lines or Parquet file, its columns known by name.

    One column holds the prompt (`PROMPTS`), one the right answer (`TARGETS`, or
    ``checks``); a column of choices (`CHOICES`), or columns A, B, …, make it a
    multiple choice. ``id``, ``group`` and ``tools`` are taken where they are there.
    Case and spaces in names do not count. `Task.remark` says what was taken and how
    it is scored; `task_from_data` lets one say it.

    Args:
        path: The file.
        name: What results call it; by default the file's name without its ending.

    Raises:
        DatasetInvalid: the file cannot be read, or no column is known to hold the
            prompt or the answer.
    """
    path = Path(path).expanduser()
    return _task(name or path.stem, path.name, read_rows(path))


def task_from_rows(data: Data, *, name: str = "own-data") -> Task:
    """Make a task of rows in memory, their fields known by name as in a file.

    Raises:
        DatasetInvalid: a row is no mapping, or no field is known to hold the prompt
            or the answer.
    """
    return _task(name, name, read_rows(data))


def _task(name: str, source: str, rows: Sequence[Row]) -> Task:
    asked = [row for row in rows if any(_filled(value) for value in row.values())]
    form, taken, prompt = guess_form(source, asked)
    if prompt not in form.prompt:  # a name with spaces cannot stand in braces
        asked = [{**row, form.prompt[1:-1]: row.get(prompt)} for row in asked]
    remark = f"Taken from {source}: {taken}."
    n_blank = len(rows) - len(asked)
    if n_blank:
        remark += f" Blank rows left out: {n_blank}."
    return build(
        name,
        form,
        Asking(source=source),
        asked,
        method=form.method(scored=False, corpus=False),
        remark=remark,
    )


def guess_form(name: str, rows: Sequence[Row]) -> tuple[TaskForm, str, str]:
    """Return the form that the columns' names suggest, which were taken, the prompt's.

    Raises:
        DatasetInvalid: there is no column for the prompt, or none for the answer.
    """
    columns = {_normal(column): column for column in (rows[0] if rows else {})}
    prompt = _first(columns, PROMPTS)
    choices = _choices(columns)
    target = _first(columns, [one for one in TARGETS if columns.get(one) != prompt])
    checks = columns.get("checks")
    has = ", ".join(map(repr, columns.values())) or "none"
    if prompt is None or not (target or checks):
        what = "prompt" if prompt is None else "answer"
        names = PROMPTS if prompt is None else TARGETS
        msg = f"{name} has no column that is known to hold the {what}; it has {has}"
        hint = f"call it {', '.join(names[:4])}, or say which it is: task_from_data"
        raise DatasetInvalid(msg, hint=hint)
    known = ("id", "group", "tools")
    others: dict[str, str] = {key: columns[key] for key in known if key in columns}
    plain = prompt if re.fullmatch(r"\w+", prompt) else _normal(prompt)
    values: dict[str, object] = {"prompt": f"{{{plain}}}", **others}
    taken = {"prompt": prompt}
    if choices is not None and target is not None:
        values |= {"choices": choices, "answer": target}
        taken |= {"choices": _shown(choices), "right choice": target}
    elif target is not None:
        values["target"] = target
        taken["right answer"] = target
    if checks is not None:
        taken["checks"] = checks
    taken |= others
    said = ", ".join(f"{what} from '{column}'" for what, column in taken.items())
    return checked(TaskForm, values, name), said, prompt


def _normal(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip()).casefold()


def _first(columns: dict[str, str], known: Sequence[str]) -> str | None:
    return next((columns[one] for one in known if one in columns), None)


def _choices(columns: dict[str, str]) -> str | list[str] | None:
    named = _first(columns, CHOICES)
    if named is not None:
        return named
    letters = []
    for letter in "abcdefghij":
        if letter not in columns:
            break
        letters.append(columns[letter])
    return letters if len(letters) > 1 else None


def _shown(choices: str | list[str]) -> str:
    return choices if isinstance(choices, str) else "', '".join(choices)


def _filled(value: object) -> bool:
    return value is not None and str(value).strip() != ""
