"""`which`: the one-line question, on the user's own prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.evals.comparing.compare import compare
from localkit.evals.tasks.given import as_task
from localkit.evals.tasks.task import Task

if TYPE_CHECKING:
    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.comparing.request import AnyTask
    from localkit.store.ref import ModelRef

MOST_PROMPTS = 100
"""Prompts of a table that loss is measured on: intervals hardly narrow beyond."""


def which(
    model: str | ModelRef,
    prompts: AnyTask | Sequence[str] | None = None,
    *,
    quants: Sequence[str] | None = None,
    budget: int | str | None = None,
    max_loss: float | None = None,
    max_kld: float = 0.05,
    min_decode_per_s: float | None = None,
    **options: Any,
) -> Comparison:
    """Say which quant of a model to run for these prompts on this machine.

    Args:
        model: A model of the store, without a tag for all its quants.
        prompts: What you use it for. Prompts with expected answers (CSV or JSON
            Lines file, DataFrame, list of mappings, `Task`) are asked and scored, and
            loss is measured on them;
            of prompts alone (list of texts, or a text file with one a line) the
            loss is measured on each with the reference's answer behind it; None
            takes the packaged text and task.
        quants: Quant labels or tags to choose from; default: all.
        budget: Memory it may take: bytes, or ``"8GB"``; default: what is free.
        max_loss: Largest loss of the score to accept: 0.02 is 2 points of 100.
        max_kld: Largest mean KL divergence to accept, nats per token.
        min_decode_per_s: Slowest decode to accept, tokens per second.
        options: Further arguments of `compare`.

    Raises:
        UsageError: the prompts are of no known form.
        DatasetInvalid: the file of prompts cannot be used.
        LocalkitError: whatever `compare` raises.
    """
    common = {
        "quants": quants,
        "budget": budget,
        "max_loss": max_loss,
        "max_kld": max_kld,
        "min_decode_per_s": min_decode_per_s,
    } | options
    if prompts is None:
        return compare(model, **common)
    if isinstance(prompts, str | Path):
        common["source"] = str(prompts)
    texts = plain_prompts(prompts)
    if texts is not None:
        return compare(model, task=None, prompts=texts, **common)
    task = as_task(prompts)
    # Where answers are written, loss is measured on the same prompts.
    own = (
        tuple(sample.prompt for sample in task.samples[:MOST_PROMPTS])
        if task.method == "generate"
        else ()
    )
    return compare(model, task=task, prompts=own, **common)


def plain_prompts(given: object) -> tuple[str, ...] | None:
    """Return prompts without answers; None where ``given`` is a table or a task.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(given, Task):
        return None
    if isinstance(given, str | Path):
        path = Path(given).expanduser()
        if path.suffix.lower() != ".txt":
            return None
        if not path.is_file():
            msg = f"there is no file '{given}'"
            raise UsageError(msg, hint="check the path")
        lines = path.read_text(encoding="utf-8").splitlines()
        texts = tuple(line for line in lines if line.strip())
        if not texts:
            msg = f"{path.name} holds no prompt"
            raise UsageError(msg, hint="write one prompt a line")
        return texts
    if isinstance(given, Sequence) and given:
        if all(isinstance(one, str) for one in given):
            return tuple(given)
        if any(isinstance(one, str) for one in given):
            msg = "prompts holds texts and other things"
            raise UsageError(msg, hint="give texts alone, or rows with answers alone")
        if all(isinstance(one, Mapping) for one in given):
            return None
    if isinstance(given, Sequence):
        msg = f"prompts is {'empty' if not given else 'no list of texts or rows'}"
        raise UsageError(
            msg, hint="give texts, rows with prompt and expected answer, or a file"
        )
    return None
