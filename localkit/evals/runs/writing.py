"""A run while it is under way: which cells are filled together, and how it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from localkit.errors import Cancelled
from localkit.evals.running.spec import digest_of
from localkit.evals.runs.record import PartSummary, read_model
from localkit.io.processes import this_process
from localkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from localkit.evals.runs.database import Runs
    from localkit.evals.runs.record import Kind, SampleNames, Status, TaskRecord

_SHORTEST_ID = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """One model's part in one task, before it is asked."""

    label: str
    model: str
    """Model ref, or address."""
    weights_digest: str
    """Empty where nobody knows it."""
    task: TaskRecord
    samples: SampleNames
    variant: str = ""
    """How it is loaded and asked, where that differs."""


class OpenRun:
    """A run that is being filled; made by `open_run`.

    As a context manager it says how it ended: ``done``, ``partial`` when something
    could not be asked (`fail`), ``interrupted`` when an exception ended it.
    """

    def __init__(self, runs: Runs, id_: str, parts: Mapping[tuple[str, str], int]):
        """Keep where it is stored, and each part's place by label and task."""
        self._runs = runs
        self._parts = parts
        self._failed = False
        self.id = id_

    def place(self, label: str, task: str, cell: str) -> bool:
        """Say in which cell a part's answers are kept.

        Returns:
            Whether the part's score is known: it was asked whole before, there.
        """
        query = "SELECT cell, summary FROM parts WHERE run = ? AND position = ?"
        rows = self._runs.select(query, self.id, self._parts[label, task])
        before, text = rows[0] if rows else ("", "")
        summary = read_model(PartSummary, text) if text else None
        if before == cell:
            return summary is not None and not summary.n_missing
        self._update_part("cell", label, task, cell)
        self._update_part("summary", label, task, "")
        return False

    def summarize(self, label: str, task: str, summary: PartSummary) -> None:
        """Keep a part's score, so that a listing need not read its answers."""
        self._update_part("summary", label, task, summary.encode())
        self._failed |= summary.n_missing > 0

    def fail(self, remark: str) -> None:
        """Say what could not be asked, and why: the run ends as ``partial``."""
        self._failed = True
        self.say(remark)

    def say(self, remark: str) -> None:
        """Keep a sentence that a reader must know."""
        query = "SELECT remarks FROM runs WHERE id = ?"
        with self._runs.transaction() as db:
            row = db.execute(query, (self.id,)).fetchone()
            remarks = [*json.loads(row[0] if row else "[]"), remark]
            text = json.dumps(list(dict.fromkeys(remarks)))
            db.execute("UPDATE runs SET remarks = ? WHERE id = ?", (text, self.id))

    def finish(self, status: Status) -> None:
        """Say how it ended."""
        with self._runs.transaction() as db:
            db.execute(
                "UPDATE runs SET status = ?, updated = ? WHERE id = ?",
                (status, _now(), self.id),
            )

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep how it ended."""
        if error is None:
            self.finish("partial" if self._failed else "done")
            return
        try:
            if not isinstance(error, KeyboardInterrupt | Cancelled):
                self.fail(f"stopped: {' '.join(str(error).split())[:300]}")
            self.finish("interrupted")
        except Exception as late:  # the first error says more: a full disk, …
            error.add_note(f"the run is shown as running: {late}")

    def _update_part(self, column: str, label: str, task: str, value: str) -> None:
        with self._runs.transaction() as db:
            db.execute(
                f"UPDATE parts SET {column} = ? WHERE run = ? AND position = ?",  # noqa: S608
                (value, self.id, self._parts[label, task]),
            )


def open_run(
    runs: Runs,
    *,
    kind: Kind,
    command: str,
    planned: Sequence[Planned],
    environment: Mapping[str, str | int],
) -> OpenRun:
    """Return the run that asks for ``planned`` in ``environment``.

    The same again is the same run: what was interrupted goes on under its id.

    Raises:
        DiskFull: there is no room for it.
        ResultsInvalid: the results database is damaged.
    """
    asked = [
        {
            "model": [one.label, one.weights_digest or one.model, one.variant],
            "task": one.task.model_dump(),
            "samples": digest_of(one.samples.model_dump()),
        }
        for one in planned
    ]
    identity = digest_of([kind, asked, dict(environment)])
    now = _now()
    with runs.transaction() as db:
        known = db.execute("SELECT id FROM runs WHERE identity = ?", (identity,))
        row = known.fetchone()
        length = _SHORTEST_ID
        while (
            row is None
            and db.execute(
                "SELECT 1 FROM runs WHERE id = ?", (identity[:length],)
            ).fetchone()
        ):
            length += 1
        id_: str = identity[:length] if row is None else row[0]
        db.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?, '[]') "
            "ON CONFLICT (id) DO UPDATE SET updated = excluded.updated, "
            "command = excluded.command, status = 'running', remarks = '[]', "
            "process = excluded.process, version = excluded.version",
            (id_, identity, now, now, kind, command, str(this_process()), __version__),
        )
        db.executemany(
            "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, '', ?, '', ?) "
            "ON CONFLICT (run, position) DO UPDATE SET model = excluded.model",
            [
                (
                    *(id_, position, one.label, one.model, one.weights_digest),
                    one.task.model_dump_json(),
                    len(one.samples.ids),
                    one.samples.encode(),
                )
                for position, one in enumerate(planned)
            ],
        )
    places = {(one.label, one.task.name): i for i, one in enumerate(planned)}
    return OpenRun(runs, id_, places)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
