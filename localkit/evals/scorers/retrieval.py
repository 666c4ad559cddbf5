"""Retrieval: does an embedding model find the documents that answer a query?

Every document of the corpus is ranked by the cosine of its embedding and the
query's. The figures are those of information retrieval, with every target equally
relevant: recall@k, MRR (of the first relevant document, over the whole ranking) and
nDCG@10 with gain 1 and discount log2(rank + 1), as in BEIR (Thakur et al. 2021).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import Cancelled, ContextTooLong, UsageError
from localkit.evals.running.result import SampleResult
from localkit.evals.scorers.protocol import Score

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from localkit.evals.subjects.protocol import Subject
    from localkit.evals.tasks.task import Task
    from localkit.events import CancelToken

CUTOFFS = (1, 5, 10)
"""The k of recall@k."""
MEASURES = ("ndcg@10", *(f"recall@{k}" for k in CUTOFFS), "mrr")
"""Names of the scores; the first one is the task's."""
_PORTION = 32
_MAX_SHOWN = 10


def retrieve(
    subject: Subject,
    task: Task,
    *,
    cancel: CancelToken | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> list[SampleResult]:
    """Rank the corpus for every sample; one result a sample, in their order.

    The corpus is embedded once, then the queries. A query that is too long is
    unscored; so is everything when a document is, because nothing is cut.

    Args:
        subject: What embeds.
        task: Of the method ``retrieve``: samples are queries, targets document ids.
        cancel: Raise it to stop.
        on_step: Told how many of how many texts are embedded.

    Raises:
        Unsupported: ``subject`` embeds nothing.
        UsageError: the task is not of that method, or its corpus is empty.
        Cancelled: ``cancel`` was raised.
    """
    if task.method != "retrieve" or not task.corpus:
        msg = f"task {task.name} has no corpus to search"
        raise UsageError(msg, hint="give it method='retrieve' and corpus=")
    total = len(task.corpus) + len(task.samples)
    ids = [document.id for document in task.corpus]
    try:
        portions = []
        for start in range(0, len(ids), _PORTION):
            texts = [one.text for one in task.corpus[start : start + _PORTION]]
            portions.append(_embed(subject, texts, cancel))
            if on_step is not None:
                on_step(start + len(texts), total)
    except ContextTooLong as error:
        why = f"a document is too long: {error.one_line()}"
        return [SampleResult(id=one.id, unscored=why) for one in task.samples]
    corpus = np.concatenate(portions)
    if not np.isfinite(corpus).all():
        why = "a document's vector holds what is no number"
        return [SampleResult(id=one.id, unscored=why) for one in task.samples]
    results = []
    for number, sample in enumerate(task.samples, 1):
        began = time.perf_counter()
        try:
            query = _embed(subject, [sample.prompt], cancel)[0]
        except ContextTooLong as error:
            results.append(SampleResult(id=sample.id, unscored=error.one_line()))
            continue
        if not np.isfinite(query).all():
            why = "the query's vector holds what is no number"
            results.append(SampleResult(id=sample.id, unscored=why))
            continue
        ranking = rank(query, corpus)
        found = [ids[place] for place in ranking]
        results.append(
            SampleResult(
                id=sample.id,
                answer="\n".join(found[:_MAX_SHOWN]),
                scores=scores_of(found, set(sample.target)),
                total_s=time.perf_counter() - began,
            )
        )
        if on_step is not None:
            on_step(len(ids) + number, total)
    return results


def rank(query: NDArray[np.float32], corpus: NDArray[np.float32]) -> list[int]:
    """Return places in ``corpus``, the nearest first; of equals the earlier one.

    Args:
        query: Unit vector, shape (n_embd,).
        corpus: Unit vectors, shape (n_documents, n_embd).
    """
    cosines = corpus.astype(np.float64) @ query.astype(np.float64)
    return [int(place) for place in np.argsort(-cosines, kind="stable")]


def scores_of(ranking: Sequence[str], relevant: Collection[str]) -> dict[str, Score]:
    """Return every measure of one ranking.

    Args:
        ranking: Ids of all documents, the nearest first.
        relevant: Ids of those that answer the query; at least one.
    """
    ranks = [place for place, id_ in enumerate(ranking, 1) if id_ in relevant]
    gain = sum(1 / math.log2(place + 1) for place in ranks if place <= 10)
    ideal = sum(
        1 / math.log2(place + 1) for place in range(1, min(10, len(relevant)) + 1)
    )
    values = {"ndcg@10": gain / ideal}
    for k in CUTOFFS:
        values[f"recall@{k}"] = sum(place <= k for place in ranks) / len(relevant)
    values["mrr"] = 1 / ranks[0]
    why = f"relevant at rank {', '.join(map(str, ranks[:_MAX_SHOWN]))}"
    return {name: Score(value=values[name], why=why) for name in MEASURES}


def _embed(
    subject: Subject, texts: Sequence[str], cancel: CancelToken | None
) -> NDArray[np.float32]:
    if cancel is not None and cancel.cancelled:
        msg = "embedding was stopped"
        raise Cancelled(msg, hint="run it again when you like")
    return subject.embed(texts, cancel=cancel)
