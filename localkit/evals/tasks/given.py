"""A task however it is given: by value, by name, as a file, as rows in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localkit.evals.tasks.catalog import load_task
from localkit.evals.tasks.from_file import task_from_rows
from localkit.evals.tasks.task import Task


def as_task(given: Any) -> Task:
    """Return the task that ``given`` is or names.

    Raises:
        DatasetInvalid: there is no such task, or its data cannot be used.
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, str | Path):
        return load_task(given)
    return task_from_rows(given)


def several(given: Any) -> list[Any]:
    """Return what may be one thing, several, or none, as a list.

    A list of mappings is one thing: the rows of a table.
    """
    if given is None:
        return []
    if isinstance(given, list | tuple) and not (
        given and all(isinstance(one, Mapping) for one in given)
    ):
        return list(given)
    return [given]
