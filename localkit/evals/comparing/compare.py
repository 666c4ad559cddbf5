"""`compare`: measure the quants of a model and say which to run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.evals.comparing.assemble import Limits, build_rows, kld_steps
from localkit.evals.comparing.axes import Axes
from localkit.evals.comparing.comparison import Comparison
from localkit.evals.comparing.measuring import measure
from localkit.evals.comparing.plan import make_plan
from localkit.evals.comparing.request import Request
from localkit.evals.comparing.samples import Samples
from localkit.evals.comparing.setting import describe
from localkit.evals.comparing.standing import Standing, Watcher
from localkit.evals.comparing.verdict import decide
from localkit.evals.report.evidence import collect_flips, collect_passages
from localkit.evals.running.bench import Bench
from localkit.evals.runs.database import Runs
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.kit import default_kit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.config import Effort
    from localkit.evals.comparing.axes import Named
    from localkit.evals.comparing.request import AnyTask, AnyText
    from localkit.kit import Kit
    from localkit.store.ref import ModelRef

DEFAULT_TASK = "hellaswag"


def compare(
    ref: str | ModelRef,
    quants: Sequence[str] | None = None,
    *,
    reference: str | None = None,
    against: Sequence[str] = (),
    task: AnyTask | Sequence[AnyTask] | None = DEFAULT_TASK,
    text: AnyText | Sequence[AnyText] | None = None,
    prompts: Sequence[str] = (),
    suite: str | None = None,
    effort: Effort | None = None,
    budget: int | str | None = None,
    max_kld: float = 0.05,
    max_loss: float | None = None,
    min_decode_per_s: float | None = None,
    precision: float | None = None,
    depth: Sequence[int] = (),
    clients: Sequence[int] = (),
    allow_code: bool = False,
    n_ctx: Named | None = None,
    kv_type: Named | None = None,
    flash_attn: Named | None = None,
    n_gpu_layers: Named | None = None,
    template: Named | None = None,
    prompt: Named | None = None,
    system: Named | None = None,
    params: Named | None = None,
    source: str = "",
    kit: Kit | None = None,
    on_progress: OnProgress = no_progress,
    on_rows: Callable[[Standing], None] | None = None,
    cancel: CancelToken | None = None,
) -> Comparison:
    """Measure quants of one model on quality, speed and memory; say which to run.

    Figures that are stored are not measured again, and a run that was stopped or
    killed goes on where it was.

    From ``n_ctx`` to ``params`` stand the axes: each takes one point, several, or
    names with points, and every quant is measured at every combination. The first
    point of each is the reference's.

    Args:
        ref: The model; without a tag every tag of it that is in the store.
        quants: Quant labels or tags to take, in any case; default: all.
        reference: The quant to compare with; default: the highest precision.
        against: Other models to stand beside it on the tasks: refs, or
            ``MODEL@URL`` of a server that speaks OpenAI's or Ollama's dialect.
        task: What to ask, one or several: a packaged task's name, a task file, a
            table with prompts and expected answers (CSV, JSON Lines, DataFrame, list
            of mappings), or a `Task`; None asks nothing.
        text: What to measure perplexity and KL divergence on, one or several: a
            packaged text's name, a UTF-8 file, or a `Text`; default: the packaged
            one, or ``prompts``.
        prompts: Your own prompts: loss is measured on each with the reference's
            answer behind it.
        suite: Packaged texts and tasks to measure together: ``quick``, ``standard``
            or ``full``; then ``task`` and ``text`` add to it.
        effort: ``quick``, ``standard`` or ``thorough``; default: the settings'.
        budget: Memory the model may take: bytes, or ``"8GB"``; default: what is
            available on this machine now.
        max_kld: Largest mean KL divergence to recommend, nats per token.
        max_loss: Largest loss of a task's score to recommend: 0.02 is 2 points.
        min_decode_per_s: Slowest decode to recommend, tokens per second.
        precision: Ask more samples, up to all, until every candidate is told from
            the reference, or known to be within so much of its score.
        depth: Tokens in the context at which speed is measured as well.
        clients: Numbers of simultaneous askers to measure waiting times with.
        allow_code: Code that a model wrote may be run against its tests.
        n_ctx: Context length to measure memory at; default: the training
            context, at most 4096.
        kv_type: Type of the KV cache: ``f16``, ``q8_0``, ``q4_0``, …
        flash_attn: True, False, or None: llama.cpp decides.
        n_gpu_layers: Layers on a GPU.
        template: Chat template, as Jinja.
        prompt: Prompt form in place of the tasks', fields of a row in braces.
        system: Instructions in place of the tasks'.
        params: How written answers are sampled: a mapping of sampling params.
        source: File of prompts that `which` was given: names the command to run again.
        kit: Store, runtime and settings; default: the process's.
        on_progress: Called after every chunk, item and repetition.
        on_rows: Called with the rows as far as they are known: at once, and when one
            has more to it, at growing distances; what it takes, measuring waits for.
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
    request = Request(
        ref=ref,
        source=source,
        quants=quants,
        reference=reference,
        against=against,
        task=None if suite and task == DEFAULT_TASK else task,
        text=text,
        prompts=prompts,
        suite=suite,
        effort=effort,
        budget=budget,
        max_kld=max_kld,
        max_loss=max_loss,
        min_decode_per_s=min_decode_per_s,
        precision=precision,
        depth=depth,
        clients=clients,
        allow_code=allow_code,
        axes=Axes(
            kv_type=kv_type,
            n_ctx=n_ctx,
            flash_attn=flash_attn,
            n_gpu_layers=n_gpu_layers,
            template=template,
            prompt=prompt,
            system=system,
            params=params,
        ),
    )
    return run(
        request,
        kit or default_kit(),
        on_progress,
        cancel or CancelToken(),
        on_rows=on_rows,
    )


def run(
    request: Request,
    kit: Kit,
    on_progress: OnProgress,
    cancel: CancelToken,
    *,
    on_rows: Callable[[Standing], None] | None = None,
) -> Comparison:
    """Do what `compare` was asked for."""
    plan = make_plan(kit, request)
    # Also where no model is loaded because everything has been measured.
    for candidate in plan.family.candidates:
        kit.pins.hold(candidate.model, on_progress=on_progress, cancel=cancel)
    limits = Limits(request.max_kld, request.max_loss, request.min_decode_per_s)
    with closing(Runs(kit.settings.runs_db)) as runs:
        bench = Bench(kit, runs, on_progress, cancel)
        if on_rows is not None:
            watch = Watcher(plan, limits, on_rows, on_progress)
            bench = replace(bench, on_progress=watch.report, watch=watch)
        measured = measure(bench, plan)
    rows = build_rows(
        plan.family,
        texts=measured.texts,
        tasks=measured.asked.by_label,
        speeds=measured.timed.speeds,
        memory=measured.memory,
        failures=measured.failures,
        budget=plan.budget,
        limits=limits,
    )
    steps = kld_steps(rows, measured.scored.chunks)
    decision = decide(
        rows,
        budget=plan.budget,
        max_kld=limits.max_kld,
        steps=steps,
        min_decode_per_s=limits.min_decode_per_s,
        max_loss=limits.max_loss,
    )
    notes = kit.pins.notes(measured.timed.fingerprint.engine)
    return Comparison(
        setup=describe(plan, measured, notes),
        rows=rows,
        decision=decision,
        steps=steps,
        passages=collect_passages(rows, measured.texts, pick=decision.pick),
        flips=collect_flips(
            rows, plan.tasks, measured.asked.results, pick=decision.pick
        ),
        samples=Samples(kit.settings.runs_db, measured.asked.run, plan.tasks)
        if measured.asked.run
        else None,
    )
