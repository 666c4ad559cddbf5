"""Run tasks of lm-eval on a model of the store, with lm-eval's own arguments."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval import simple_evaluate
from lm_eval._cli.run import Run
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from localkit.errors import EvalError, LocalkitError, StoreError, UsageError
from localkit.evals.harnesses.lm_eval.model import LocalkitLM
from localkit.evals.harnesses.lm_eval.results import LmEvalRun, figures, fill_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.events import CancelToken, OnProgress
    from localkit.kit import Kit

_NOT_HERE = {
    "model": "give the model as the first argument",
    "model_args": "the command's own options say how to load it",
    "device": "n_gpu_layers says what a GPU computes",
    "batch_size": "the slots of the engine are the batch",
    "max_batch_size": "the slots of the engine are the batch",
    "wandb_args": "log the files that --output writes",
    "trackio_args": "log the files that --output writes",
    "hf_hub_log_args": "push the files that --output writes",
    "show_config": "it is in the file that --output writes",
}
"""Arguments of lm-eval that mean nothing here, and what to do instead."""


def evaluate(
    model: str,
    arguments: Sequence[str],
    *,
    n_ctx: int | None = None,
    kv_type: str = "f16",
    kit: Kit | None = None,
    on_progress: OnProgress | None = None,
    cancel: CancelToken | None = None,
) -> LmEvalRun:
    """Run tasks with the arguments of ``lm-eval run``, such as ``--tasks arc_easy``.

    Samples and results are written to ``--output_path``, in lm-eval's own format. Data
    sets that are not on this machine are fetched by lm-eval, from the Hugging Face Hub.

    Raises:
        UsageError: an argument is not lm-eval's, or has no meaning here.
        EvalError: lm-eval ended: no such task, no data set, a metric that fails.
        ModelNotFound, DoesNotFit, LoadFailed: the model cannot be loaded.
        StoreError: the results could not be written.
        Cancelled: ``cancel`` was raised.
    """
    config = read_arguments(arguments)
    with LocalkitLM(
        model,
        n_ctx=n_ctx,
        kv_type=kv_type,
        kit=kit,
        on_progress=on_progress,
        cancel=cancel,
    ) as loaded:
        try:
            return _evaluate(loaded, model, config)
        except LocalkitError:
            raise
        except Exception as error:  # whatever a task or its data set raises
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            msg = f"lm-eval ended with {type(error).__name__}: {reason}"
            hint = (
                "`lm-eval ls tasks` lists tasks; --include_path takes your own, whose "
                "data may lie in files here"
            )
            raise EvalError(msg, hint=hint) from error


def read_arguments(arguments: Sequence[str]) -> EvaluatorConfig:
    """Return what lm-eval's own parser makes of ``arguments``.

    Raises:
        UsageError: it refuses them, or one of them has no meaning here.
    """
    parser = argparse.ArgumentParser(prog="lm-eval")
    Run.create(parser.add_subparsers(dest="command"))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = parser.parse_args(["run", *arguments])
    except SystemExit as error:
        msg = said.getvalue().strip().rpartition("error: ")[2] or "that is no run"
        hint = "`localkit lm-eval --help`, and lm-eval's own documentation"
        raise UsageError(f"lm-eval refuses: {msg}", hint=hint) from error
    for name, hint in _NOT_HERE.items():
        if getattr(parsed, name, None) is not None and getattr(parsed, name):
            msg = f"--{name} is an argument of lm-eval that means nothing here"
            raise UsageError(msg, hint=hint)
    if not parsed.tasks and not parsed.config:
        msg = "no task is named"
        raise UsageError(msg, hint="give --tasks arc_easy,hellaswag")
    try:
        config = EvaluatorConfig.from_cli(parsed)
    except (ValueError, TypeError, OSError) as error:
        msg = f"lm-eval refuses: {error}"
        raise UsageError(msg, hint="change the arguments as it says") from error
    if config.model not in ("hf", "localkit"):  # hf is its default
        msg = f"{parsed.config} asks for lm-eval's model '{config.model}'"
        raise UsageError(msg, hint="take `model` out of it: it is given as MODEL here")
    return config


def _evaluate(loaded: LocalkitLM, model: str, config: EvaluatorConfig) -> LmEvalRun:
    manager, found = _tasks(config)
    tracker = EvaluationTracker(output_path=config.output_path)
    seeds = config.seed or [None] * 4
    results: dict[str, Any] = simple_evaluate(
        loaded,
        # Names the folder of the results.
        model_args={"model": model},
        tasks=_roots(found),
        task_manager=manager,
        num_fewshot=config.num_fewshot,
        limit=config.limit,
        samples=config.samples,
        use_cache=_cache_of(loaded, config.use_cache),
        cache_requests=config.cache_requests.get("cache_requests", False),
        rewrite_requests_cache=config.cache_requests.get(
            "rewrite_requests_cache", False
        ),
        delete_requests_cache=config.cache_requests.get("delete_requests_cache", False),
        check_integrity=config.check_integrity,
        write_out=config.write_out,
        # Intervals are made from the samples.
        log_samples=True,
        # Its bootstrap would fork this process, with the engine in it.
        bootstrap_iters=0,
        evaluation_tracker=tracker,
        system_instruction=config.system_instruction,
        apply_chat_template=config.apply_chat_template,
        fewshot_as_multiturn=bool(config.fewshot_as_multiturn),
        gen_kwargs=config.gen_kwargs or None,
        predict_only=config.predict_only,
        random_seed=seeds[0],
        numpy_random_seed=seeds[1],
        torch_random_seed=seeds[2],
        fewshot_random_seed=seeds[3],
        confirm_run_unsafe_code=config.confirm_run_unsafe_code,
        metadata=config.metadata,
    )
    samples = results.pop("samples")
    made = figures(results, samples, found["tasks"])
    fill_errors(results, made)
    files = _written(tracker, results, samples) if config.output_path else ()
    return LmEvalRun(
        model=model,
        digest=loaded.tokenizer_name,
        figures=made,
        results=results,
        samples=samples,
        files=files,
        notes=_notes(loaded, config.limit),
    )


def _tasks(config: EvaluatorConfig) -> tuple[TaskManager, Mapping[str, Any]]:
    """Return what was asked for, loaded.

    lm-eval reads its own 14,000 task files first, for seconds. Where all tasks are of
    the caller's own folder, that is spared.
    """
    given = config.tasks.split(",") if isinstance(config.tasks, str) else config.tasks
    names = [name for one in given for name in one.split(",") if name]
    if config.include_path:
        own = TaskManager(
            include_path=config.include_path,
            include_defaults=False,
            metadata=config.metadata,
        )
        if set(names) <= set(own.all_tasks):
            # A group there may be of lm-eval's own tasks.
            with contextlib.suppress(KeyError, ValueError):
                return own, own.load(names)
    manager = config.process_tasks(config.metadata)
    return manager, manager.load(config.tasks)


def _roots(found: Mapping[str, Any]) -> list[Any]:
    """Return groups and tasks that are in no other group: what was asked for."""
    groups, tasks = found["groups"], found["tasks"]
    children = {name for group in groups.values() for name in group.child_names}
    return [one for name, one in {**groups, **tasks}.items() if name not in children]


def _cache_of(loaded: LocalkitLM, path: str | None) -> str | None:
    """Return a file of this model's own: lm-eval's keys do not name the model."""
    if path is None:
        return None
    facts = [loaded.tokenizer_name, loaded.get_model_info()["localkit"]["runtime"]]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{path}-{digest[:12]}"


def _written(
    tracker: EvaluationTracker, results: dict[str, Any], samples: dict[str, Any]
) -> tuple[Path, ...]:
    """Write what lm-eval writes, and check that it did: it only logs a failure.

    Raises:
        StoreError: a file is missing.
    """
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, of_task in samples.items():
        tracker.save_results_samples(task_name=task, samples=of_task)
    out = Path(tracker.output_path)
    folder = out.parent
    if out.suffix != ".json":
        folder = out / tracker.general_config_tracker.model_name_sanitized
    stamp = getattr(tracker, "date_id", "never")
    written = sorted(folder.glob(f"*_{stamp}.json")) + sorted(
        folder.glob(f"*_{stamp}.jsonl")
    )
    if len(written) < 1 + len(samples):
        msg = f"{1 + len(samples) - len(written)} result files were not written"
        raise StoreError(msg, hint=f"is there room in {out}, and may it be written?")
    return tuple(written)


def _notes(loaded: LocalkitLM, limit: float | None) -> tuple[str, ...]:
    notes = []
    if limit is not None:
        notes.append("--limit: the first items only, which may not be like the others")
    if loaded.n_cut_prompts:
        notes.append(
            f"prompts that lost their first tokens, for n_ctx is {loaded.max_length}: "
            f"{loaded.n_cut_prompts}"
        )
    if loaded.n_cut_answers:
        notes.append(f"answers cut at their token limit: {loaded.n_cut_answers}")
    return tuple(notes)
