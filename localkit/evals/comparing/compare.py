"""`compare`: measure the quants of a model and say which to run."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from localkit.evals.comparing.assemble import build_rows, kld_steps
from localkit.evals.comparing.comparison import Comparison, Corpus, Setup, TaskUsed
from localkit.evals.comparing.plan import Plan, make_plan
from localkit.evals.comparing.verdict import decide
from localkit.evals.memory.kinds import measure_memory
from localkit.evals.report.evidence import collect_flips, collect_passages
from localkit.evals.report.figures import listing
from localkit.evals.running.answers import answer_items, task_results
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import digest_of
from localkit.evals.runs.database import Runs
from localkit.evals.speed.interleaved import measure_speed
from localkit.evals.text.quality import TextScoring
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.kit import default_kit
from localkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.config import Effort
    from localkit.evals.speed.interleaved import Timed
    from localkit.evals.tasks.catalog import Text
    from localkit.evals.tasks.task import Task
    from localkit.evals.text.quality import ScoredText
    from localkit.kit import Kit
    from localkit.store.ref import ModelRef


def compare(
    ref: str | ModelRef,
    quants: Sequence[str] | None = None,
    *,
    reference: str | None = None,
    task: str | Path | Task | None = "hellaswag",
    text: str | Path | Text | None = None,
    effort: Effort | None = None,
    budget: int | str | None = None,
    max_kld: float = 0.05,
    n_ctx: int | None = None,
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Comparison:
    """Measure quants of one model on quality, speed and memory; say which to run.

    Figures that are stored are not measured again, and a run that was stopped or
    killed goes on where it was.

    Args:
        ref: The model; without a tag every tag of it that is in the store.
        quants: Quant labels or tags to take, in any case; default: all.
        reference: The quant to compare with; default: the highest precision.
        task: A packaged task's name, a task file, or a `Task`; None asks nothing.
        text: What to measure perplexity and KL divergence on: a packaged text's
            name, a UTF-8 file, or a `Text`; default: the packaged text.
        effort: ``quick``, ``standard`` or ``thorough``; default: the settings'.
        budget: Memory the model may take: bytes, or ``"8GB"``; default: what is
            available on this machine now.
        max_kld: Largest mean KL divergence to recommend, nats per token.
        n_ctx: Context length to measure memory at; default: the training
            context, at most 4096.
        kit: Store, runtime and settings; default: the process's.
        on_progress: Called after every chunk, item and repetition.
        cancel: Stops between two of these; what is measured is kept.

    Raises:
        ModelNotFound: no such model.
        LockDrift: a quant no longer is what ``localkit.lock`` pins.
        UsageError: a quant is not in the store, or an argument makes no sense.
        NotComparable: the refs are not one model in several quants.
        DatasetInvalid: the text or the task cannot be used.
        RuntimeFailure: the reference cannot be loaded.
        ResultsInvalid: the stored results cannot be read.
        Cancelled: ``cancel`` was raised.
    """
    kit = kit or default_kit()
    plan = make_plan(
        kit,
        ref,
        quants,
        reference=reference,
        task=task,
        text=text,
        effort=effort,
        budget=budget,
        max_kld=max_kld,
        n_ctx=n_ctx,
    )
    # Also where no model is loaded because everything has been measured.
    for candidate in plan.family.candidates:
        kit.pins.hold(candidate.model, on_progress=on_progress, cancel=cancel)
    with closing(Runs(kit.settings.runs_db)) as runs:
        bench = Bench(kit, runs, on_progress, cancel or CancelToken())
        memory = measure_memory(bench, plan.family, plan.memory)
        # What could not be loaded in a child is not tried in this process.
        family = plan.family.without(memory.failures)
        scored = TextScoring(
            bench,
            family,
            plan.quality,
            plan.text.text,
            n_chunks=plan.extent.n_chunks,
            params=plan.scoring,
        ).run()
        answers = (
            answer_items(bench, family, plan.task, plan.items, params=plan.scoring)
            if plan.task
            else {}
        )
        timed = measure_speed(bench, family.candidates, plan.speed)
    tasks = (
        task_results(plan.task.name, plan.task.norm, answers, family.reference.label)
        if plan.task
        else {}
    )
    rows = build_rows(
        plan.family,
        chunks=scored.chunks,
        tasks={label: (result,) for label, result in tasks.items()},
        speeds=timed.speeds,
        memory=memory.memory,
        failures=memory.failures,
        budget=plan.budget,
        max_kld=max_kld,
    )
    steps = kld_steps(rows, scored.chunks)
    decision = decide(rows, budget=plan.budget, max_kld=max_kld, steps=steps)
    return Comparison(
        setup=_setup(plan, scored, timed, kit.pins.notes(timed.fingerprint.engine)),
        rows=rows,
        decision=decision,
        steps=steps,
        passages=collect_passages(rows, scored, pick=decision.pick),
        flips=collect_flips(rows, plan.task, answers, pick=decision.pick),
    )


def _setup(
    plan: Plan, scored: ScoredText, timed: Timed, remarks: tuple[str, ...]
) -> Setup:
    reference = plan.family.reference
    chunks = scored.chunks[reference.label]
    return Setup(
        model=plan.family.name,
        reference=reference.label,
        effort=plan.effort,
        corpus=Corpus(
            name=plan.text.name,
            digest=plan.quality.text_digest,
            n_ctx=plan.quality.n_ctx,
            n_chunks=len(chunks),
            n_tokens=sum(chunk.kld.size for chunk in chunks),
        ),
        tasks=_tasks_used(plan),
        n_prompt=plan.speed.n_prompt,
        n_gen=plan.speed.n_gen,
        reps=plan.speed.reps,
        interleaved=timed.interleaved,
        budget=plan.budget,
        max_kld=plan.max_kld,
        fingerprint=timed.fingerprint.as_dict(),
        comparability=_comparability(plan, timed),
        measured=max(scored.measured, timed.measured),
        command=plan.command,
        version=__version__,
        remarks=(*_remarks(plan, timed), *remarks),
    )


def _tasks_used(plan: Plan) -> tuple[TaskUsed, ...]:
    task = plan.task
    if task is None:
        return ()
    used = TaskUsed(
        name=task.name,
        digest=task.digest,
        n_items=len(plan.items),
        norm=task.norm,
        source=task.source,
        licence=task.licence,
    )
    return (used,)


def _comparability(plan: Plan, timed: Timed) -> str:
    """Return a key that is equal where figures measure the same thing."""
    return digest_of(
        [
            plan.quality.reference_digest,
            plan.family.reference.info.vocab_digest,
            plan.quality.text_digest,
            plan.quality.n_ctx,
            plan.task.digest if plan.task else None,
            timed.fingerprint.numeric(),
        ]
    )[:16]


def _remarks(plan: Plan, timed: Timed) -> tuple[str, ...]:
    reference = plan.family.reference
    remarks = list(plan.family.remarks)
    if reference.info.lossy_origin:
        remarks.append(
            f"The {reference.label} reference is expanded from published "
            f"{reference.info.lossy_origin} weights, whose own loss is in none of "
            "these figures."
        )
    elif reference.info.bits_per_weight < 16:
        remarks.append(
            f"The reference is itself quantized ({reference.label}): the loss is "
            "against it, not against full precision."
        )
    noisy = [label for label, speed in timed.speeds.items() if speed.noise]
    if noisy:
        whose = "All" if len(noisy) == len(timed.speeds) else f"{listing(noisy)}:"
        remarks.append(
            f"{whose} speed figures are noisy; the table of speeds says why."
        )
    if not timed.interleaved:
        remarks.append(
            "The candidates do not fit in memory side by side, so they were timed one "
            "after the other."
        )
    return tuple(remarks)
