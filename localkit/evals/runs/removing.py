"""Remove a run, and the answers that no other run holds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.evals.runs.database import Runs
from localkit.evals.runs.listing import find_run

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RemovedRun:
    """What was removed."""

    id: str
    n_answers: int


def remove_run(path: Path, id_: str) -> RemovedRun:
    """Remove a run by the start of its id, with the answers that only it holds.

    Raises:
        UsageError: there is no such run, or there are several.
    """
    with closing(Runs(path)) as runs:
        # A damaged run is found too: its id is all that is needed.
        run = find_run(runs, id_, parts=False)
        with runs.transaction() as db:
            cells = [
                row[0]
                for row in db.execute(
                    "SELECT DISTINCT cell FROM parts AS mine WHERE run = ?1 "
                    "AND cell != '' AND NOT EXISTS (SELECT 1 FROM parts AS other "
                    "WHERE other.cell = mine.cell AND other.run != ?1)",
                    (run.id,),
                )
            ]
            count = 0
            for cell in cells:
                gone = db.execute("DELETE FROM samples WHERE cell = ?", (cell,))
                count += gone.rowcount
                db.execute("DELETE FROM cells WHERE key = ?", (cell,))
            db.execute("DELETE FROM parts WHERE run = ?", (run.id,))
            db.execute("DELETE FROM runs WHERE id = ?", (run.id,))
    return RemovedRun(run.id, count)
