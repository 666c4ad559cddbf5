"""Who has to go so that a model can come: the pool's rule, without its threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from localkit.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.memory.context_length import Wish
    from localkit.runtime.memory.fit import Plan
    from localkit.runtime.params import LoadParams
    from localkit.runtime.pool.resident import Ask, Resident


class Planner(Protocol):
    """Says whether a load fits; see `fit.plan_load`."""

    def __call__(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        wished: Wish | None,
        budget: int | None,
        freed: int,
    ) -> Plan:
        """Return the plan."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How much a pool holds, and for how long."""

    keep_alive_s: float = 300.0
    """Infinite: for ever."""
    max_models: int = 0
    """0: as many as memory holds. Models held apart do not count."""
    max_queue: int = 512
    """Callers that may wait behind the one whose model is being loaded."""
    memory: int | None = None
    """Bytes for all together; None: what the machine has available."""


def next_step(
    ask: Ask,
    residents: Sequence[Resident],
    rules: Rules,
    plan_load: Planner,
    *,
    thread: int,
) -> Plan | Resident | None:
    """Return the plan to load by now, the model that has to go first, or None: wait.

    A model that has to go may be answering: then its uses are to be waited for.

    Args:
        ask: What is to be loaded.
        residents: What is there, the one used longest ago first.
        rules: How much may be.
        plan_load: Says whether it fits.
        thread: Of the caller. What it uses itself is not waited for: the wait
            would never end.

    Raises:
        DoesNotFit: not even with everything unloaded that may be; nothing was.
        Overloaded: only what the caller itself uses could make room.
    """
    shared = [one for one in residents if not one.ask.apart]
    idle = [one for one in shared if one.is_idle]
    ending = [
        one
        for one in shared
        if one.state == "loaded" and one not in idle and not one.is_held_by(thread)
    ]
    budget = rules.memory
    if budget is not None:
        budget = max(0, budget - sum(one.size for one in residents))

    def planned(freed: int) -> Plan:
        return plan_load(
            ask.info, ask.params, wished=ask.wish, budget=budget, freed=freed
        )

    plan = planned(0)
    leaving = [one for one in residents if one.state == "unloading"]
    if plan.refusal is not None:
        planned(sum(one.size for one in (*idle, *ending, *leaving))).check()
    too_short = [one for one in idle if one.ask.is_like(ask)]
    crowded = 0 < rules.max_models <= len(shared) and not ask.apart
    if not (too_short or crowded or plan.reduced or plan.refusal):
        return plan
    if leaving:
        return None
    for able in (too_short, idle, ending):
        if able:
            return able[0]
    plan.check()
    if crowded:
        msg = f"{len(shared)} models are loaded, and this call is made while using one"
        hint = "end that use first, or raise LOCALKIT_MAX_LOADED_MODELS"
        raise Overloaded(msg, hint=hint)
    return plan
