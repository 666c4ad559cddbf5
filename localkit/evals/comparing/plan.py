"""What a comparison will measure: arguments checked and defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.amounts import parse_bytes
from localkit.errors import UsageError
from localkit.evals.comparing.budget import Budget
from localkit.evals.comparing.family import find_family
from localkit.evals.comparing.variant import PLAIN
from localkit.evals.running.spec import (
    EXTENTS,
    MemorySpec,
    QualitySpec,
    SpeedSpec,
    digest_of,
)
from localkit.evals.scorers.pinning import digest_in, pinned
from localkit.evals.tasks.catalog import Text, load_task, load_text, task_names
from localkit.evals.tasks.given import as_task, several
from localkit.evals.tasks.suites import load_suite
from localkit.runtime import hardware
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.config import Effort
    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.comparing.request import Request
    from localkit.evals.running.spec import Extent
    from localkit.evals.tasks.suites import Suite
    from localkit.evals.tasks.task import Task
    from localkit.kit import Kit

CHUNK = 512
"""Tokens of a chunk of text: llama-perplexity's default."""
SCORING_CONTEXT = 2048
"""Context for scoring: room for a question with all its endings."""
MEMORY_CONTEXT = 4096
"""Context that memory is measured at when nobody names one."""
DEFAULT_TEXTS = ("jargon-file",)
OWN_SAMPLES = 200
"""A table of up to so many rows is asked whole, whatever the effort."""
_SIDE_BY_SIDE = 8
"""Choices of a question that are scored in one batch."""
_ALL_CHUNKS = 1 << 30
_LEAST_CHUNKS = 2
"""Of each text, where there are several: one has no interval."""


@dataclass(frozen=True, slots=True)
class TextPlan:
    """One text, and how much of it is scored."""

    name: str
    content: str | tuple[str, ...]
    """A text, or documents that are scored each by itself."""
    spec: QualitySpec
    n_chunks: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a comparison measures."""

    request: Request
    family: Family
    effort: Effort
    extent: Extent
    texts: tuple[TextPlan, ...]
    tasks: tuple[Task, ...]
    limits: Mapping[str, int]
    """Samples that are asked, by task."""
    speed: SpeedSpec
    memory: MemorySpec
    """Of the plain variant."""
    scoring: LoadParams
    """How models are loaded to score text and answers."""
    budget: Budget
    command: str
    """Runs the same comparison from a terminal."""


def make_plan(kit: Kit, request: Request) -> Plan:
    """Check the arguments of `compare` and fill in what they leave open.

    Raises:
        ModelNotFound: no such model.
        UsageError: a quant is not in the store, or an argument makes no sense.
        NotComparable: the refs are not one model in several quants.
        DatasetInvalid: the text or the task cannot be read.
    """
    effort = request.effort or kit.settings.effort
    _check(request, effort)
    variants = request.axes.variants() or (PLAIN,)
    family = find_family(
        kit.store,
        request.ref,
        quants=request.quants,
        reference=request.reference,
        variants=variants,
        against=request.against,
    )
    info = family.reference.info
    trained = info.n_ctx_train or MEMORY_CONTEXT
    first = family.reference.variant
    memory = MemorySpec(
        n_ctx=first.n_ctx or min(trained, MEMORY_CONTEXT), kv_type=first.kv_type
    )
    extent = EXTENTS[effort]
    suite = load_suite(request.suite) if request.suite else None
    own = [as_task(one) for one in several(request.task)]
    named = (*map(load_task, suite.tasks if suite else ()), *own)
    tasks = tuple(pinned(task, digest_in(kit)) for task in named)
    _refuse_twice("task", [task.name for task in tasks])
    return Plan(
        request=request,
        family=family,
        effort=effort,
        extent=extent,
        texts=_texts(request, suite, family.reference, extent),
        tasks=tasks,
        limits={task.name: _limit(task, suite, extent) for task in tasks},
        speed=SpeedSpec(
            n_prompt=min(extent.n_prompt, trained),
            n_gen=min(extent.n_gen, trained),
            reps=extent.reps,
            peers=_peers(family.candidates),
        ),
        memory=memory,
        scoring=LoadParams(
            n_ctx=min(SCORING_CONTEXT, trained), n_seq_max=_SIDE_BY_SIDE
        ),
        budget=_budget(request.budget, memory),
        command=request.command(effort, tasks),
    )


def _check(request: Request, effort: str) -> None:
    if effort not in EXTENTS:
        msg = f"effort '{effort}' is unknown"
        raise UsageError(msg, hint=f"take one of {', '.join(EXTENTS)}")
    if not request.max_kld > 0:
        msg = f"max_kld is {request.max_kld}, but a tolerance is above 0 nats"
        raise UsageError(msg, hint="0.05 is a good start")
    loss = request.max_loss
    if loss is not None and not 0 < loss <= 1:
        msg = f"max_loss is {loss}, but it is a share of the task's score"
        raise UsageError(msg, hint="0.02 accepts to lose 2 points of 100")
    rate = request.min_decode_per_s
    if rate is not None and not rate > 0:
        msg = f"min_decode_per_s is {rate}"
        raise UsageError(msg, hint="give tokens per second, such as 20")
    if request.precision is not None and not 0 < request.precision < 1:
        msg = f"precision is {request.precision}"
        raise UsageError(msg, hint="0.02 tells 2 points of 100 apart")
    for name in ("depth", "clients"):
        if any(value < 1 for value in getattr(request, name)):
            msg = f"{name} holds {min(getattr(request, name))}"
            raise UsageError(msg, hint="give whole numbers from 1 on")


def _limit(task: Task, suite: Suite | None, extent: Extent) -> int:
    """Return how many samples are asked: of a user's own table at least 200."""
    if suite and task.name in suite.tasks:
        most = suite.tasks[task.name]
    elif extent.n_items is None or task.name in task_names():
        most = extent.n_items
    else:
        most = max(extent.n_items, OWN_SAMPLES)
    return min(len(task.samples), most or len(task.samples))


def _texts(
    request: Request, suite: Suite | None, reference: Candidate, extent: Extent
) -> tuple[TextPlan, ...]:
    own = several(request.text)
    by_suite = suite.texts if suite else {}
    if not own and not by_suite and not request.prompts:
        own = list(DEFAULT_TEXTS)
    texts = [
        *map(load_text, by_suite),
        *(one if isinstance(one, Text) else load_text(one) for one in own),
    ]
    _refuse_twice("text", [text.name for text in texts])
    share = extent.n_chunks
    if len(own) > 1:
        share = max(_LEAST_CHUNKS, extent.n_chunks // len(own))
    n_ctx = min(CHUNK, reference.info.n_ctx_train or CHUNK)
    against = loss_against(reference)
    return tuple(
        TextPlan(
            text.name,
            text.text,
            QualitySpec(text.digest, against, n_ctx),
            by_suite.get(text.name, share) or _ALL_CHUNKS,
        )
        for text in texts
    )


def loss_against(reference: Candidate) -> str:
    """Return what names the reference's probabilities: weights, and how they run."""
    same_loss = reference.variant.same_loss
    if same_loss == PLAIN.same_loss:
        return reference.weights_digest
    return digest_of([reference.weights_digest, *same_loss])


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            msg = f"the {what} '{name}' is given twice"
            raise UsageError(msg, hint="give each once")


def _peers(candidates: Sequence[Candidate]) -> str:
    names = [
        [one.weights_digest, *map(str, one.variant.same_loss)] for one in candidates
    ]
    return digest_of(sorted(names))


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
