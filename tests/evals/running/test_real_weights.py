"""Written answers of the real engine: the same again, whatever was asked before."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.evals.running.evaluate import evaluate
from localkit.evals.scorers.includes import Includes
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.kit import Kit
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = {"sum": ("What is 2+2?", "4"), "sky": ("What colour is the sky?", "blue")}
WRITTEN = Task(
    name="written",
    samples=tuple(
        Sample(id=id_, prompt=prompt, target=(target,))
        for id_, (prompt, target) in QUESTIONS.items()
    ),
    method="generate",
    scorers=(Includes(),),
    params=SamplingParams(temperature=0.8, max_tokens=8, seed=5),
    epochs=2,
)


def answers(kit: Kit, task: Task) -> dict[tuple[str, int], str]:
    found = evaluate("smollm2", task, n_ctx=512, kit=kit)
    environment = next(iter(found.environments.values()))
    assert "llama-cpp-python" in str(environment["engine"])
    assert environment["n_ctx"] == 512
    return {(one.id, one.epoch): one.answer for one in found.results()}


@pytest.mark.model
def test_E3_the_same_seed_gives_the_same_answers_in_any_order(
    smollm2_gguf: Path,
) -> None:
    # Another order is another task: nothing is taken from what is stored.
    backwards = replace(WRITTEN, samples=WRITTEN.samples[::-1])
    with closing(Kit()) as kit:
        kit.store.add(smollm2_gguf, "smollm2")
        first, second = answers(kit, WRITTEN), answers(kit, backwards)
    assert first == second
    assert len(set(first.values())) == 4, "epochs and questions differ"
