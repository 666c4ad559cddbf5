"""Retrieval: the measures against their definitions, and what cannot be ranked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import Cancelled, ContextTooLong, Unsupported, UsageError
from localkit.evals.scorers.retrieval import MEASURES, rank, retrieve, scores_of
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Document, Task
from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CORPUS = tuple(Document(f"d{n}", f"text {n}") for n in range(40))


@dataclass
class Angles:
    """Embeds ``text n`` as an angle, so that near numbers are near."""

    portions: list[int] = field(default_factory=list)

    def embed(
        self, texts: Sequence[str], *, cancel: CancelToken | None
    ) -> NDArray[np.float32]:
        del cancel
        self.portions.append(len(texts))
        if "long" in texts:
            raise ContextTooLong(900, 512)
        numbers = [
            float("nan") if text == "nan" else float(text.split()[-1]) for text in texts
        ]
        angles = np.array(numbers) * math.pi / 80
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def query(id_: str, text: str, *targets: str) -> Sample:
    return Sample(id=id_, prompt=text, target=targets)


def task(*samples: Sample, corpus: Sequence[Document] = CORPUS) -> Task:
    return Task("find", samples, method="retrieve", corpus=tuple(corpus))


def run(task: Task, subject: Any = None, **options: Any) -> list[Any]:
    embedder: Any = subject or Angles()
    return retrieve(embedder, task, **options)


def test_measures_of_a_ranking_by_hand() -> None:
    ranking = [f"d{n}" for n in range(20)]
    scores = scores_of(ranking, {"d1", "d6", "d15"})
    values = {name: scores[name].value for name in MEASURES}
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert values == {
        "ndcg@10": pytest.approx((1 / math.log2(3) + 1 / math.log2(8)) / ideal),
        "recall@1": 0.0,
        "recall@5": pytest.approx(1 / 3),
        "recall@10": pytest.approx(2 / 3),
        "mrr": 0.5,
    }
    assert scores["mrr"].why == "relevant at rank 2, 7, 16"


def test_a_perfect_ranking_is_1_even_with_more_targets_than_places() -> None:
    ranking = [f"d{n}" for n in range(20)]
    scores = scores_of(ranking, set(ranking[:12]))
    assert scores["ndcg@10"].value == pytest.approx(1)
    assert scores["recall@10"].value == pytest.approx(10 / 12)


def test_equals_keep_their_order() -> None:
    same = np.ones((5, 1), np.float32)
    assert rank(same[0], same) == [0, 1, 2, 3, 4]


def test_queries_find_their_documents_and_the_corpus_is_embedded_once() -> None:
    subject = Angles()
    steps: list[tuple[int, int]] = []
    found = run(
        task(query("a", "text 7", "d7"), query("b", "text 7", "d9")),
        subject,
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert found[0].answer.splitlines()[0] == "d7"
    assert found[0].scores["mrr"].value == 1
    assert found[1].scores["recall@1"].value == 0
    assert found[1].scores["recall@5"].value == 1
    assert subject.portions == [32, 8, 1, 1]
    assert steps == [(32, 42), (40, 42), (41, 42), (42, 42)]


def test_E2_what_cannot_be_embedded_is_unscored_with_its_reason() -> None:
    found = run(
        task(
            query("a", "long", "d1"),
            query("b", "nan", "d1"),
            query("c", "text 1", "d1"),
        )
    )
    assert "900 tokens" in found[0].unscored
    assert "no number" in found[1].unscored
    assert found[2].unscored is None
    for text in ("long", "nan"):
        corpus = (Document("d1", text), *CORPUS[2:])
        assert run(task(query("a", "text 1", "d1"), corpus=corpus))[0].unscored


def test_other_tasks_and_models_are_refused() -> None:
    with pytest.raises(UsageError, match="no corpus"):
        run(Task("mc", (Sample(id="0", prompt="q", choices=("a", "b"), gold=0),)))

    class Writer:
        def embed(self, texts: object, *, cancel: object) -> None:
            raise Unsupported("it embeds nothing", hint="take an encoder")

    with pytest.raises(Unsupported):
        run(task(query("a", "text 1", "d1")), Writer())


def test_it_can_be_stopped() -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        run(task(query("a", "text 1", "d1")), cancel=cancel)
