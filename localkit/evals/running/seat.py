"""Seat: where a candidate of an evaluation answers, whatever it is.

One that is loaded here answers at a `Station`; one behind a URL by itself.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from localkit.chat.template_choice import choice_of
from localkit.evals.comparing.family import Candidate
from localkit.evals.comparing.variant import PLAIN, Variant
from localkit.evals.running.spec import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.runs.database import Cell
    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.task import Task
    from localkit.runtime.protocol import LoadParams


class Seat(Protocol):
    """One candidate, ready to be asked."""

    label: str
    variant: Variant

    @property
    def subject(self) -> Subject:
        """What answers; loaded when it is needed."""

    def cell(self, task: Task) -> Cell:
        """Return where its answers to ``task`` are kept."""

    def renew(self) -> bool:
        """Make it answer again after a failure; False where that is not ours to do."""


class LocalSeat:
    """A candidate that is loaded here."""

    def __init__(self, station: Station) -> None:
        """Answer at ``station``."""
        self._station = station
        self.label = station.candidate.label
        self.variant = station.candidate.variant

    @property
    def subject(self) -> Subject:
        """The loaded model."""
        return self._station.subject

    def cell(self, task: Task) -> Cell:
        """Return where its answers to ``task`` are kept; may load the model."""
        spec = task_spec(task, self._station.candidate)
        # A written answer may end where the context does.
        written = task.method == "generate"
        return self._station.cell(spec, numeric=True, with_n_ctx=written)

    def renew(self) -> bool:
        """Unload the model: it is loaded again for the next question."""
        self._station.close()
        return True


class RemoteSeat:
    """A subject that somebody else runs."""

    def __init__(self, bench: Bench, subject: Subject) -> None:
        """Ask ``subject``, which stays the caller's to close."""
        self._bench = bench
        self.subject = subject
        self.label = subject.label
        self.variant = PLAIN

    def cell(self, task: Task) -> Cell:
        """Return where its answers to ``task`` are kept."""
        return self._bench.runs.cell(
            self.subject.digest, TaskSpec(task.digest), self.subject.environment
        )

    def renew(self) -> bool:
        """Do nothing: it cannot be started from here."""
        return False


@contextmanager
def seated(
    bench: Bench, candidate: Candidate | Subject, params: LoadParams
) -> Iterator[Seat]:
    """Give a seat for ``candidate``; what it loaded is freed on exit."""
    if not isinstance(candidate, Candidate):
        yield RemoteSeat(bench, candidate)
        return
    with bench.station(candidate, params) as station:
        yield LocalSeat(station)


def task_spec(task: Task, candidate: Candidate) -> TaskSpec:
    """Return what names the answers of ``candidate`` to ``task``, weights apart."""
    variant = candidate.variant
    template = ""
    if task.method == "generate" and task.chat:
        choice = choice_of(candidate.model)
        source = variant.template or (choice.source if choice else "")
        template = hashlib.sha256(source.encode()).hexdigest()
    params = variant.params if task.method == "generate" else None
    return TaskSpec(
        task.digest,
        template=template,
        prompt=variant.prompt,
        system=variant.system,
        params=None if params is None else json.dumps(asdict(params), sort_keys=True),
    )
