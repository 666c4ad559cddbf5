"""Our answers to the questions that llama-perplexity is asked too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.scorers.choices import score_item
from localkit.evals.tasks.catalog import load_task
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.evals.scorers.choices import ItemScore

N_LIVE, N_COMMITTED = 24, 8
"""Questions of the packaged HellaSwag; an ordinary run asks the first of them."""
TIE = 0.02
"""Nats per token: two choices closer than this change places with the shape of a
batch alone (design/011)."""
LABELS = ("F16", "Q4_K_M", "Q2_K")


def our_answers(file: Path, n_questions: int) -> list[ItemScore]:
    """Ask one model, one thread."""
    params = LoadParams(n_ctx=512, n_threads=1, n_gpu_layers=0)
    session = LlamaRuntime().load(read_info(file), params)
    task = load_task("hellaswag")
    found = [score_item(session, task, one) for one in task.samples[:n_questions]]
    session.close()
    return found


def gap(answer: ItemScore) -> float:
    """Return by how much the best choice beats the second, nats per token."""
    first, second, *_ = sorted(
        (choice.score("token") for choice in answer.choices), reverse=True
    )
    return first - second
