"""The runs that are stored, newest first; and one of them by the start of its id."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from localkit.errors import ResultsInvalid, UsageError
from localkit.evals.runs.database import Runs
from localkit.evals.runs.record import PartSummary, SampleNames, TaskRecord, read_model
from localkit.evals.runs.results import Results
from localkit.io import processes

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.evals.runs.record import Kind, Status


@dataclass(frozen=True, slots=True)
class Part:
    """One model's part in one task of a run."""

    run: str
    position: int
    label: str
    model: str
    """Model ref, or address."""
    weights_digest: str
    """Empty where nobody knows it."""
    task: TaskRecord
    cell: str
    """Key of the cell that holds the answers; empty: nothing has been asked."""
    n_samples: int
    summary: PartSummary | None
    """None until the part has been asked whole."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for together, by one command."""

    id: str
    created: str
    """ISO 8601, UTC."""
    updated: str
    kind: Kind
    command: str
    status: Status
    version: str
    """Of localkit."""
    remarks: tuple[str, ...]
    """What could not be asked, and why."""
    parts: tuple[Part, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Labels of the models, each once."""
        return tuple(dict.fromkeys(part.label for part in self.parts))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, each once."""
        return tuple(dict.fromkeys(part.task.name for part in self.parts))


_RUN = "id, created, updated, kind, command, status, version, remarks, process"
_PART = "run, position, label, model, weights_digest, task, cell, n_samples, summary"


def list_runs(runs: Runs) -> list[Run]:
    """Return all runs, the one that was asked for last first; reads no answer.

    Raises:
        ResultsInvalid: a run is damaged; names it.
    """
    parts: dict[str, list[Part]] = {}
    for row in runs.select(f"SELECT {_PART} FROM parts ORDER BY run, position"):  # noqa: S608
        parts.setdefault(row[0], []).append(_part(row))
    rows = runs.select(f"SELECT {_RUN} FROM runs ORDER BY updated DESC, id")  # noqa: S608
    return [_run(row, parts.get(row[0], [])) for row in rows]


def read_runs(path: Path) -> list[Run]:
    """Return all runs of the results database at ``path``; none where it is not.

    Raises:
        ResultsInvalid: the file or a run is damaged.
    """
    if not path.exists():
        return []
    with closing(Runs(path)) as runs:
        return list_runs(runs)


def find_run(runs: Runs, id_: str, *, parts: bool = True) -> Run:
    """Return the run whose id is ``id_``, or the only one whose id begins so.

    Without ``parts`` it is found even where they cannot be read.

    Raises:
        UsageError: there is none, or there are several.
        ResultsInvalid: the run is damaged.
    """
    # Not LIKE: its wildcards are no part of an id.
    query = f"SELECT {_RUN} FROM runs WHERE substr(id, 1, length(?1)) = ?1"  # noqa: S608
    rows = runs.select(query, id_) if id_ else []
    exact = [row for row in rows if row[0] == id_]
    if len(exact or rows) != 1:
        what = f"is the start of {len(rows)} runs" if rows else "is no run"
        names = ", ".join(row[0] for row in rows[:5])
        hint = f"name one of {names}" if rows else "`localkit runs` lists them"
        raise UsageError(f"'{id_[:40]}' {what}", hint=hint)
    row = (exact or rows)[0]
    if not parts:
        return _run((*row[:7], "[]", row[8]), [])
    query = f"SELECT {_PART} FROM parts WHERE run = ? ORDER BY position"  # noqa: S608
    return _run(row, [_part(one) for one in runs.select(query, row[0])])


def names_of(runs: Runs, part: Part) -> SampleNames:
    """Return the samples that a part asks for.

    Raises:
        ResultsInvalid: they are damaged.
    """
    query = "SELECT samples FROM parts WHERE run = ? AND position = ?"
    rows = runs.select(query, part.run, part.position)
    names = SampleNames.decode(rows[0][0]) if rows else None
    if names is None or len(names.ids) != part.n_samples:
        raise _damaged(part.run, f"the samples of {part.label}")
    return names


def results_of(runs: Runs, part: Part, names: SampleNames) -> Results:
    """Return the answers of a part, read as they are wanted."""
    cell = runs.cell_by_key(part.cell) if part.cell else None
    return Results(cell, names.ids, part.task.epochs)


def _run(row: tuple[Any, ...], parts: list[Part]) -> Run:
    id_, created, updated, kind, command, status, version, text, process = row
    if status == "running":
        name = processes.parse(process)
        # Nobody said how it ended: it was killed.
        if name is None or name.lives() is False:
            status = "interrupted"
    try:
        remarks = tuple(map(str, json.loads(text)))
    except (ValueError, TypeError) as error:
        raise _damaged(id_, "its remarks") from error
    return Run(
        id=id_,
        created=created,
        updated=updated,
        kind=cast("Kind", kind),
        command=command,
        status=cast("Status", status),
        version=version,
        remarks=remarks,
        parts=tuple(parts),
    )


def _part(row: tuple[Any, ...]) -> Part:
    run, position, label, model, weights, task_text, cell, n_samples, text = row
    task = read_model(TaskRecord, task_text)
    summary = read_model(PartSummary, text) if text else None
    if task is None or (text and summary is None):
        raise _damaged(run, f"the record of {label}")
    return Part(
        run=run,
        position=position,
        label=label,
        model=model,
        weights_digest=weights,
        task=task,
        cell=cell,
        n_samples=n_samples,
        summary=summary,
    )


def _damaged(run: str, what: str) -> ResultsInvalid:
    return ResultsInvalid(
        f"run {run}: {what} cannot be read",
        hint=f"`localkit runs rm {run}` removes it; ask again then",
    )
