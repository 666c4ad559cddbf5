"""Measuring what a plan names, candidate by candidate; what is stored is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.evals.comparing.asking import Asked, ask_tasks
from localkit.evals.comparing.own_prompts import answered_prompts
from localkit.evals.memory.kinds import measure_memory
from localkit.evals.speed.every import measure_every_speed
from localkit.evals.text.quality import ScoredText, TextScoring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.evals.comparing.family import Family
    from localkit.evals.comparing.plan import Plan, TextPlan
    from localkit.evals.comparing.row import Memory
    from localkit.evals.running.bench import Bench
    from localkit.evals.speed.interleaved import Timed
    from localkit.evals.text.divergence import ChunkDivergence


@dataclass(frozen=True, slots=True)
class Measurements:
    """What came of a plan; each mapping by candidate label."""

    family: Family
    """Without what could not be loaded."""
    memory: Mapping[str, Memory]
    failures: Mapping[str, str]
    """Why a candidate could not be loaded."""
    plans: Sequence[TextPlan]
    """The texts, the user's own prompts among them."""
    texts: Mapping[str, ScoredText]
    """By name of the text."""
    asked: Asked
    timed: Timed

    @property
    def scored(self) -> ScoredText:
        """All texts as if they were one."""
        return joined(list(self.texts.values()))

    @property
    def measured(self) -> str:
        """When the newest figure was measured, ISO 8601 in UTC."""
        times = [text.measured for text in self.texts.values()]
        return max([*times, self.timed.measured])


def measure(bench: Bench, plan: Plan) -> Measurements:
    """Measure everything that is not stored yet.

    Raises:
        RuntimeFailure: the reference cannot be loaded.
        Cancelled: stopping was asked for; what is measured is stored.
    """
    memory = measure_memory(bench, plan.family, plan.memory)
    # What could not be loaded in a child is not tried in this process.
    family = plan.family.without(memory.failures)
    plans = [
        *plan.texts,
        *([answered_prompts(bench, plan)] if plan.request.prompts else ()),
    ]
    texts = {
        one.name: TextScoring(
            bench,
            family.kin,
            one.spec,
            one.content,
            n_chunks=one.n_chunks,
            params=plan.scoring,
            name=one.name,
        ).run()
        for one in plans
    }
    asked = ask_tasks(bench, plan, family)
    bench.watch.tasks(asked.by_label)
    timed = measure_every_speed(
        bench,
        family.candidates,
        plan.speed,
        depths=plan.request.depth,
        clients=plan.request.clients,
        load_ctx=plan.memory.n_ctx if plan.effort == "thorough" else None,
        energy=plan.effort != "quick",
    )
    return Measurements(
        family, memory.memory, memory.failures, plans, texts, asked, timed
    )


def joined(texts: Sequence[ScoredText]) -> ScoredText:
    """Return several scored texts as one: their chunks one after the other."""
    if not texts:
        return ScoredText({}, [], "")
    chunks: dict[str, list[ChunkDivergence]] = {}
    for text in texts:
        for label, found in text.chunks.items():
            chunks.setdefault(label, []).extend(found)
    pieces = [piece for text in texts for piece in text.pieces]
    return ScoredText(
        chunks, pieces, max(text.measured for text in texts), texts[0].mode
    )
