"""The committed figures of the demo model are what is measured here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localkit.evals.comparing.compare import compare
from localkit.evals.tasks.catalog import load_task, load_text, packaged
from localkit.kit import Kit

if TYPE_CHECKING:
    from pathlib import Path

BASELINES = sorted((packaged() / "baselines").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_a_baseline_is_of_the_data_that_comes_along(path: Path) -> None:
    record = read(path)
    for name, text in record["texts"].items():
        assert text["digest"] == load_text(name).digest
    for name, task in record["tasks"].items():
        assert task["digest"] == load_task(name).digest


@pytest.mark.model
def test_the_demo_model_scores_what_its_baseline_says(smollm2_gguf: Path) -> None:
    (path,) = [one for one in BASELINES if one.stem.endswith("-quick")]
    record = read(path)
    kit = Kit()
    kit.store.add(smollm2_gguf, "smollm2-135m-instruct:q4_1")
    comparison = compare(
        "smollm2-135m-instruct:q4_1",
        ["q4_1"],
        reference="q4_1",
        text=["german"],
        task=["hellaswag"],
        effort="quick",
        kit=kit,
    )
    kit.close()
    row = comparison.reference
    assert row.weights_digest == record["weights_digest"]
    assert row.quality is not None
    german = record["texts"]["german"]
    assert comparison.setup.corpora[0].n_chunks == german["n_chunks"]
    # Another processor rounds otherwise; another engine or text is far off.
    committed = german["perplexity"]["value"]
    assert row.quality.perplexity.value == pytest.approx(committed, rel=0.01)
    (task,) = row.tasks
    committed = record["tasks"]["hellaswag"]
    assert task.n_items == committed["n_items"]
    assert abs(task.score.value - committed["score"]["value"]) <= 1 / task.n_items
