"""How many tokens a question with several endings costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.evals.scorers.choices import encode_choices, score_item
from localkit.evals.tasks.catalog import load_task
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localkit.evals.tasks.sample import Sample
    from localkit.runtime.protocol import Session

TASK = load_task("hellaswag")


@pytest.fixture(scope="module")
def session(tiny_gguf: Path) -> Iterator[Session]:
    params = LoadParams(n_ctx=4096, n_threads=1, n_gpu_layers=0)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    yield session
    session.close()


def cost(session: Session, items: Sequence[Sample]) -> tuple[int, int, int]:
    """Return tokens computed, tokens with prompts shared, and tokens of the plain way.

    The plain way computes a prompt anew for each of its endings. Neither computes
    an ending's last token, which predicts nothing.
    """
    before = session.activity.n_computed
    shared = plain = 0
    for item in items:
        endings = [TASK.joiner + choice for choice in item.choices]
        head, tails = encode_choices(session, item.prompt, endings)
        shared += len(head) + sum(len(tail) - 1 for tail in tails)
        plain += sum(len(head) + len(tail) - 1 for tail in tails)
        assert score_item(session, TASK, item).unscored is None
    return session.activity.n_computed - before, shared, plain


def test_a_prompt_is_computed_once_for_all_its_endings(session: Session) -> None:
    computed, shared, plain = cost(session, TASK.samples[:20])
    # At most: what one question and the next begin with alike is kept too.
    assert computed <= shared
    # Half would take prompts twice as long as an ending; these are 1.8 times.
    assert computed <= 0.53 * plain


def test_with_examples_before_the_question_it_is_far_less_than_half(
    session: Session,
) -> None:
    shown = "\n".join(
        f"{item.prompt} {item.choices[item.gold]}" for item in TASK.samples[-3:]
    )
    items = [
        replace(item, prompt=f"{shown}\n{item.prompt}") for item in TASK.samples[:10]
    ]
    computed, shared, plain = cost(session, items)
    assert computed < shared
    assert computed <= 0.3 * plain
