"""What a comparison will measure: arguments checked and defaults filled in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.amounts import parse_bytes
from localkit.errors import UsageError
from localkit.evals.comparing.budget import Budget
from localkit.evals.comparing.family import find_family
from localkit.evals.running.spec import (
    EXTENTS,
    MemorySpec,
    QualitySpec,
    SpeedSpec,
    digest_of,
)
from localkit.evals.tasks.catalog import Text, load_task, load_text
from localkit.evals.tasks.task import Task
from localkit.runtime import hardware
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.config import Effort
    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.running.spec import Extent
    from localkit.evals.tasks.sample import Sample
    from localkit.kit import Kit
    from localkit.store.ref import ModelRef

CHUNK = 512
"""Tokens of a chunk of text: llama-perplexity's default."""
SCORING_CONTEXT = 2048
"""Context for scoring: room for a question with all its endings."""
MEMORY_CONTEXT = 4096
"""Context that memory is measured at when nobody names one."""
DEFAULT_TEXT = "jargon-file"
_SIDE_BY_SIDE = 8
"""Choices of a question that are scored in one batch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a comparison measures."""

    family: Family
    effort: Effort
    extent: Extent
    text: Text
    task: Task | None
    items: tuple[Sample, ...]
    """The items of the task that are asked."""
    quality: QualitySpec
    speed: SpeedSpec
    memory: MemorySpec
    scoring: LoadParams
    """How models are loaded to score text and answers."""
    budget: Budget
    max_kld: float
    command: str
    """Runs the same comparison from a terminal."""


def make_plan(
    kit: Kit,
    ref: str | ModelRef,
    quants: Sequence[str] | None = None,
    *,
    reference: str | None,
    task: str | Path | Task | None,
    text: str | Path | Text | None,
    effort: Effort | None,
    budget: int | str | None,
    max_kld: float,
    n_ctx: int | None,
) -> Plan:
    """Check the arguments of `compare` and fill in what they leave open.

    Raises:
        ModelNotFound: no such model.
        UsageError: a quant is not in the store, or an argument makes no sense.
        NotComparable: the refs are not one model in several quants.
        DatasetInvalid: the text or the task cannot be read.
    """
    chosen_effort = effort or kit.settings.effort
    if chosen_effort not in EXTENTS:
        msg = f"effort '{chosen_effort}' is unknown"
        raise UsageError(msg, hint=f"take one of {', '.join(EXTENTS)}")
    if not max_kld > 0:
        msg = f"max_kld is {max_kld}, but a tolerance is above 0 nats"
        raise UsageError(msg, hint="0.05 is a good start")
    family = find_family(kit.store, ref, quants=quants, reference=reference)
    info = family.reference.info
    trained = info.n_ctx_train or MEMORY_CONTEXT
    memory = MemorySpec(n_ctx=n_ctx or min(trained, MEMORY_CONTEXT))
    extent = EXTENTS[chosen_effort]
    used_text = text if isinstance(text, Text) else load_text(text or DEFAULT_TEXT)
    used_task = load_task(task) if isinstance(task, str | Path) else task
    return Plan(
        family=family,
        effort=chosen_effort,
        extent=extent,
        text=used_text,
        task=used_task,
        items=used_task.samples[: extent.n_items] if used_task else (),
        quality=QualitySpec(
            text_digest=used_text.digest,
            reference_digest=family.reference.weights_digest,
            n_ctx=min(CHUNK, trained),
        ),
        speed=SpeedSpec(
            n_prompt=min(extent.n_prompt, trained),
            n_gen=min(extent.n_gen, trained),
            reps=extent.reps,
            peers=_peers(family.candidates),
        ),
        memory=memory,
        scoring=LoadParams(
            n_ctx=min(SCORING_CONTEXT, trained),
            n_seq_max=_SIDE_BY_SIDE,
            kv_type=memory.kv_type,
        ),
        budget=_budget(budget, memory),
        max_kld=max_kld,
        command=_command(
            str(ref),
            quants,
            {
                "--reference": reference,
                "--task": task.name if isinstance(task, Task) else task or "none",
                "--text": text.name if isinstance(text, Text) else text,
                "--effort": chosen_effort,
                "--budget": budget,
                "--max-kld": max_kld,
                "--n-ctx": n_ctx,
            },
        ),
    )


def _peers(candidates: Sequence[Candidate]) -> str:
    return digest_of(sorted(candidate.weights_digest for candidate in candidates))


def _budget(asked: int | str | None, memory: MemorySpec) -> Budget:
    """Return the memory asked for, else what is available now, GPU first."""
    gpus = [device.free for device in hardware.devices() if device.is_gpu]
    if asked is None:
        n_bytes = sum(gpus) or hardware.available_memory()
    else:
        n_bytes = parse_bytes(asked) if isinstance(asked, str) else asked
        if n_bytes <= 0:
            msg = f"a budget of {n_bytes} bytes holds nothing"
            raise UsageError(msg, hint="write it like 8GB, 6.5GiB or 512MiB")
    return Budget(
        n_bytes=n_bytes,
        n_ctx=memory.n_ctx,
        kv_type=memory.kv_type,
        asked=asked is not None,
        on_gpu=bool(gpus),
    )


def _command(ref: str, quants: Sequence[str] | None, options: dict[str, object]) -> str:
    words = ["localkit", "compare", ref]
    if quants is not None:
        words += ["--quants", ",".join(quants)]
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)
