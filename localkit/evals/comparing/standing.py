"""How a comparison stands while it is measured: rows as far as they are known."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.comparing.assemble import Limits, build_rows
from localkit.evals.comparing.so_far import SoFar, result_so_far
from localkit.evals.running.watch import MEMORY, SPEED, TEXT, task_part
from localkit.evals.text.quality import ScoredText

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from localkit.evals.comparing.plan import Plan
    from localkit.evals.comparing.row import Memory, Row, Speed, TaskResult
    from localkit.evals.running.result import SampleResult
    from localkit.evals.text.divergence import ChunkDivergence
    from localkit.events import OnProgress, Progress

_SOONEST_S = 0.5
_SHARE = 0.03
"""Part of the time so far that goes by before the rows are put together again: an
hour makes some 200 of them, however many answers it brings."""
_COST = 10
"""Times what it took that goes by as well: a long text is not summed up all day."""
_QUIET_S = 5.0
"""The same while speed is timed, which a busy screen would slow."""


class Pending(NamedTuple):
    """A part of a candidate that is not whole yet."""

    running: bool = False
    """Whether it is at hand; else it waits."""
    done: int = 0
    total: int | None = None
    """None: not known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A comparison on its way.

    A figure that is in a row and not pending is the final one, but for the verdict
    over all rows: what is excluded for speed, and the Pareto set, are known at the end.
    """

    model: str
    reference: str
    """Its label."""
    rows: tuple[Row, ...]
    """In the order of the `Comparison`; what is not known is missing."""
    pending: Mapping[tuple[str, str], Pending]
    """By label and part: ``memory``, ``text``, ``speed``, and `task_part` of a task,
    whose score so far is in the row."""


@dataclass(slots=True)
class Watcher:
    """A `Watch` that tells how the comparison stands, now and then."""

    plan: Plan
    limits: Limits
    on_rows: Callable[[Standing], None]
    on_progress: OnProgress
    clock: Callable[[], float] = time.monotonic
    _texts: dict[str, dict[str, Sequence[ChunkDivergence]]] = field(
        default_factory=dict
    )
    """By name of the text, then by label."""
    _answers: dict[tuple[str, str], SoFar] = field(default_factory=dict)
    """By task and label."""
    _results: Mapping[str, tuple[TaskResult, ...]] | None = None
    """The final ones, when they are known."""
    _speeds: Mapping[str, Speed] = field(default_factory=dict)
    _memory: dict[str, Memory] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)
    _pending: dict[tuple[str, str], Pending] = field(default_factory=dict)
    _part: str = ""
    """What is at hand, of `_labels`."""
    _labels: Sequence[str] = ()
    _seen: dict[str, float] = field(default_factory=dict)
    """What each step has reported."""
    _base: dict[str, float] = field(default_factory=dict)
    """What it had reported when the part at hand began."""
    _began: float = field(init=False)
    _told: float = field(init=False)
    _took: float = 0.0

    def __post_init__(self) -> None:
        """Tell that everything waits."""
        self._began = self.clock()
        family = self.plan.family
        kin = family.kin.candidates if self._n_texts else ()
        keys = [(one.label, MEMORY) for one in family.candidates]
        keys += [(one.label, TEXT) for one in kin]
        keys += [(one.label, SPEED) for one in family.candidates]
        labels = [one.label for one in family.candidates]
        labels += [one.label for one in family.remotes]
        keys += [
            (label, task_part(task.name))
            for task in self.plan.tasks
            for label in labels
        ]
        self._pending = dict.fromkeys(keys, Pending())
        self._tell()

    @property
    def _n_texts(self) -> int:
        return len(self.plan.texts) + bool(self.plan.request.prompts)

    def report(self, progress: Progress) -> None:
        """Pass progress on, and count it for the part at hand."""
        self.on_progress(progress)
        self._seen[progress.step] = progress.done
        gained = progress.done - self._base.setdefault(progress.step, 0.0)
        for label in self._labels:
            found = self._pending.get((label, self._part))
            if found is not None and found.running and found.total is not None:
                # What several share is counted together.
                done = min(found.total, int(gained / len(self._labels)))
                self._pending[label, self._part] = found._replace(
                    done=max(found.done, done)
                )
        self._tell_if_due()

    def begins(self, part: str, labels: Sequence[str], total: int) -> None:
        """Set what is at hand."""
        self._part, self._labels = part, labels
        self._base = dict(self._seen)
        for label in labels:
            if (label, part) in self._pending:
                self._pending[label, part] = Pending(True, 0, total)

    def memory(self, label: str, memory: Memory) -> None:
        """Keep it."""
        self._memory[label] = memory
        self._end(label, MEMORY)

    def failed(self, label: str, why: str) -> None:
        """Keep why; nothing more comes of that candidate."""
        self._failures[label] = why
        for key in [key for key in self._pending if key[0] == label]:
            del self._pending[key]
        self._tell_if_due()

    def text(self, name: str, label: str, chunks: Sequence[ChunkDivergence]) -> None:
        """Keep the chunks; the figure is over all texts, so it waits for them."""
        self._texts.setdefault(name, {})[label] = chunks
        if self._has_all_texts(label):
            self._end(label, TEXT)
        elif (label, TEXT) in self._pending:
            self._pending[label, TEXT] = Pending()

    def answers(
        self, task: str, label: str, results: Sequence[SampleResult], *, whole: bool
    ) -> None:
        """Keep where they can be read."""
        one = next(one for one in self.plan.tasks if one.name == task)
        self._answers[task, label] = SoFar(one, results, whole)
        part = task_part(task)
        if whole and self.plan.request.precision is None:
            self._end(label, part)
        elif whole and (label, part) in self._pending:
            # More may be asked: what is enough is decided over all candidates.
            self._pending[label, part] = Pending(False, len(results))

    def tasks(self, by_label: Mapping[str, tuple[TaskResult, ...]]) -> None:
        """Take the final results."""
        self._results = by_label
        parts = {task_part(task.name) for task in self.plan.tasks}
        for key in [key for key in self._pending if key[1] in parts]:
            del self._pending[key]
        self._tell_if_due()

    def speeds(self, speeds: Mapping[str, Speed]) -> None:
        """Keep them."""
        self._speeds = speeds
        for label in speeds:
            self._pending.pop((label, SPEED), None)
        self._tell()

    def _end(self, label: str, part: str) -> None:
        self._pending.pop((label, part), None)
        self._tell_if_due()

    def _has_all_texts(self, label: str) -> bool:
        found = sum(label in chunks for chunks in self._texts.values())
        return found == self._n_texts

    def _tell_if_due(self) -> None:
        now = self.clock()
        wait = max(
            _QUIET_S if self._part == SPEED else _SOONEST_S,
            _SHARE * (now - self._began),
            _COST * self._took,
        )
        if now - self._told >= wait:
            self._tell()

    def _tell(self) -> None:
        began = self.clock()
        family = self.plan.family
        rows = build_rows(
            family,
            texts={
                name: ScoredText(self._of_whole_texts(chunks), [], "")
                for name, chunks in self._texts.items()
            },
            tasks=self._results if self._results is not None else self._so_far(),
            speeds=self._speeds,
            memory=self._memory,
            failures=self._failures,
            budget=self.plan.budget,
            limits=self.limits,
        )
        self.on_rows(
            Standing(
                model=family.name,
                reference=family.reference.label,
                rows=tuple(self._undecided(row) for row in rows),
                pending=dict(self._pending),
            )
        )
        self._told = self.clock()
        self._took = self._told - began

    def _of_whole_texts(
        self, chunks: Mapping[str, Sequence[ChunkDivergence]]
    ) -> dict[str, list[ChunkDivergence]]:
        return {
            label: list(found)
            for label, found in chunks.items()
            if self._has_all_texts(label)
        }

    def _undecided(self, row: Row) -> Row:
        """Return a row without what further figures may change."""
        waits = {part for label, part in self._pending if label == row.label}
        why = row.excluded
        if why is not None and why.because == "quality":
            waits.discard(SPEED)
        if why is not None and why.because == "memory":
            waits.clear()
        return replace(row, excluded=None if waits else why, pareto=False)

    def _so_far(self) -> dict[str, tuple[TaskResult, ...]]:
        found: dict[str, tuple[TaskResult, ...]] = {}
        reference = self.plan.family.reference.label
        for (task, label), own in self._answers.items():
            base = self._answers.get((task, reference))
            result = None if base is None else result_so_far(own, base)
            if result is not None:
                found[label] = (*found.get(label, ()), result)
        return found
