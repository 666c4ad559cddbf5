"""Watch: told what is measured, as it comes, by whoever measures it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.row import Memory, Speed, TaskResult
    from localkit.evals.running.result import SampleResult
    from localkit.evals.text.divergence import ChunkDivergence

MEMORY, TEXT, SPEED = "memory", "text", "speed"
"""Parts of a comparison; a task's is `task_part`."""


def task_part(name: str) -> str:
    """Return the part that a task is, whatever it is called."""
    return f"task {name}"


class Watch(Protocol):
    """Told in the thread that measures; what it takes, measuring waits for."""

    def begins(self, part: str, labels: Sequence[str], total: int) -> None:
        """Hear that ``total`` of a part are looked for of each of these candidates.

        Those that are stored are reported as progress like those that are measured.
        """

    def memory(self, label: str, memory: Memory) -> None:
        """Hear a candidate's memory."""

    def failed(self, label: str, why: str) -> None:
        """Hear that a candidate cannot be loaded."""

    def text(self, name: str, label: str, chunks: Sequence[ChunkDivergence]) -> None:
        """Hear all chunks of a text."""

    def answers(
        self, task: str, label: str, results: Sequence[SampleResult], *, whole: bool
    ) -> None:
        """Hear where a candidate's answers can be read; not ``whole``: so far."""

    def tasks(self, by_label: Mapping[str, tuple[TaskResult, ...]]) -> None:
        """Hear what all candidates got in all tasks."""

    def speeds(self, speeds: Mapping[str, Speed]) -> None:
        """Hear prefill and decode of all candidates."""


class Unwatched:
    """Nobody watches."""

    def begins(self, part: str, labels: Sequence[str], total: int) -> None:
        """Look away."""

    def memory(self, label: str, memory: Memory) -> None:
        """Look away."""

    def failed(self, label: str, why: str) -> None:
        """Look away."""

    def text(self, name: str, label: str, chunks: Sequence[ChunkDivergence]) -> None:
        """Look away."""

    def answers(
        self, task: str, label: str, results: Sequence[SampleResult], *, whole: bool
    ) -> None:
        """Look away."""

    def tasks(self, by_label: Mapping[str, tuple[TaskResult, ...]]) -> None:
        """Look away."""

    def speeds(self, speeds: Mapping[str, Speed]) -> None:
        """Look away."""


UNWATCHED = Unwatched()
