"""A notebook run again: which answers come out the same."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localkit.events import OnProgress, Progress, no_progress
from localkit.regression.answers import first_difference
from localkit.regression.checking import FAILS, error_of
from localkit.regression.conditions import determined, differing
from localkit.regression.figures import judge_comparison, judge_evaluation
from localkit.regression.finding import Rules
from localkit.regression.running import (
    SKIP,
    TIMEOUT_S,
    FreshRun,
    code_cells,
    read_notebook,
    tags_of,
)
from localkit.regression.subjects import (
    Answered,
    Compared,
    Evaluated,
    is_interactive,
    subjects_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.regression.checking import Outputs
    from localkit.regression.subjects import Subject

State = Literal["identical", "different", "not replayable", "failed"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One result of a cell, made again."""

    cell: int
    title: str
    state: State
    words: str = ""
    """What differs first, and why; or why it cannot be made again."""
    is_fault: bool = False
    """Whether the same fingerprint gave another text."""


def replay(
    path: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    kernel_name: str | None = None,
    on_progress: OnProgress = no_progress,
) -> list[Replayed]:
    """Run a notebook in a fresh kernel without a cache, and compare every result.

    Nothing is written. Cells without a result of ours run and are not listed, unless
    they fail.

    Raises:
        UsageError: there is no such notebook, or nothing to run it with.
        EvalError: a cell ran too long, or the kernel died.
    """
    notebook = read_notebook(path)
    cells = list(code_cells(notebook).values())
    found: list[Replayed] = []
    run = FreshRun(path, notebook, timeout_s=timeout_s, kernel_name=kernel_name)
    with closing(run):
        for index, cell in enumerate(cells):
            on_progress(Progress(f"replaying {path.name}", index, len(cells), "cells"))
            tags = tags_of(cell)
            fresh = run.outputs(index)
            if SKIP in tags:
                continue
            title = cell.source.strip().partition("\n")[0]
            error = error_of(fresh)
            if error is not None and FAILS not in tags:
                found.append(Replayed(index + 1, title, "failed", error, is_fault=True))
                continue
            found += _compare(index + 1, title, cell.get("outputs", []), fresh)
    on_progress(Progress(f"replaying {path.name}", len(cells), len(cells), "cells"))
    return found


def _compare(
    cell: int, title: str, saved: Outputs, fresh: Outputs
) -> Iterator[Replayed]:
    before = subjects_of(saved)
    if not before:
        return
    if is_interactive(saved):
        words = "it was made in a widget"
        yield Replayed(cell, title, "not replayable", words)
        return
    after = subjects_of(fresh)
    if [type(one) for one in before] != [type(one) for one in after]:
        words = f"{len(before)} results were saved, and {len(after)} came out"
        yield Replayed(cell, title, "different", words)
        return
    for one, other in zip(before, after, strict=True):
        yield _one(cell, title, one, other)


def _one(cell: int, title: str, saved: Subject, fresh: Subject) -> Replayed:
    if isinstance(saved, Answered) and isinstance(fresh, Answered):
        return _answer(cell, title, saved, fresh)
    findings = []
    if isinstance(saved, Compared) and isinstance(fresh, Compared):
        findings = list(judge_comparison(saved.record, fresh.record, Rules()))
    elif isinstance(saved, Evaluated) and isinstance(fresh, Evaluated):
        findings = list(judge_evaluation(saved.record, fresh.record, Rules()))
    moved = [one for one in findings if one.standing in {"changed", "within"}]
    if not moved:
        return Replayed(cell, title, "identical", "every score and loss")
    words = "; ".join(one.words for one in moved[:3])
    return Replayed(cell, title, "different", words)


def _answer(cell: int, title: str, saved: Answered, fresh: Answered) -> Replayed:
    one, other = saved.record, fresh.record
    conditions = differing(one, other)
    because = "; ".join(map(str, conditions))
    if saved.text is None or saved.text == fresh.text:
        return Replayed(
            cell, title, "identical", f"though {because}" if because else ""
        )
    if one.finish_reason in {"interrupted", "error"}:
        words = f"the saved answer ended as '{one.finish_reason}'"
        return Replayed(cell, title, "not replayable", words)
    if not determined(one.receipt, other.receipt):
        temperature = one.receipt.params.get("temperature")
        words = f"temperature {temperature} and no seed"
        return Replayed(cell, title, "not replayable", words)
    number, before, after = first_difference(saved.text, fresh.text or "")
    where = f"word {number}: {before or '(end)'} → {after or '(end)'}"
    if because:
        return Replayed(cell, title, "different", f"{where}; {because}")
    words = f"{where}, though nothing that it was made with changed"
    return Replayed(cell, title, "different", words, is_fault=True)
