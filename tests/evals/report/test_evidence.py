from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from localkit.evals.report.evidence import (
    MOST_FLIPS,
    Flip,
    Passage,
    collect_flips,
    collect_passages,
    worst_passages,
)
from localkit.evals.report.evidence_html import (
    flips_html,
    flips_table,
    passages_html,
    worst_token,
)
from localkit.evals.running.result import SampleResult
from localkit.evals.scorers.protocol import Score
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.evals.text.divergence import ChunkDivergence
from localkit.evals.text.quality import ScoredText
from tests.evals.constructed import quality, reference, row


@dataclass(frozen=True)
class Exact:
    """Stands for a scorer: results here are scored already."""

    name: str = "exact"

    def definition(self) -> dict[str, str]:
        return {"kind": "exact"}

    def score(self, sample, answer, surroundings):
        raise NotImplementedError


def written(*values: float | None, epochs: int = 1) -> list[SampleResult]:
    """Return an answer a sample and epoch, worth ``values``."""
    return [
        SampleResult(
            id=f"s{index // epochs}",
            epoch=index % epochs,
            answer=f"answer {index} worth {value}",
            scores={"exact": Score(value=value)},
        )
        for index, value in enumerate(values)
    ]


def task_of(n: int, name: str = "mine", **changes) -> Task:
    samples = tuple(
        Sample(f"s{index}", f"question {index}", target=("yes", "yeah"))
        for index in range(n)
    )
    return Task(name, samples, method="generate", scorers=(Exact(),), **changes)


def rows(*labels: str):
    """Return the reference and candidates, the first the lossiest."""
    klds = [0.5 / (index + 1) for index in range(len(labels))]
    return [
        reference(),
        *(
            row(label, quality=quality(kld, kld / 9))
            for label, kld in zip(labels, klds, strict=True)
        ),
    ]


def test_flips_of_written_answers_show_both_and_the_losses_first():
    results = {
        "mine": {"F16": written(1, 0, 1, 0, None), "Q2_K": written(0, 1, 1, 0, 1)}
    }
    lost, gained = collect_flips(rows("Q2_K"), [task_of(5)], results, pick=None)
    assert (lost.item, lost.lost, gained.item, gained.lost) == ("s0", True, "s1", False)
    assert lost.right == "yes | yeah"
    assert lost.reference_choice == "answer 0 worth 1"
    assert lost.candidate_choice == "answer 0 worth 0"
    heads, cells = flips_table([lost, gained])
    assert "Task" not in heads
    assert cells[0][-2:] == ["right: answer 0 worth 1", "answer 0 worth 0"]


def test_graded_scores_flip_where_they_change_by_half():
    results = {"mine": {"F16": written(0.9, 0.9), "Q2_K": written(0.5, 0.3)}}
    (flip,) = collect_flips(rows("Q2_K"), [task_of(2)], results, pick=None)
    assert flip.item == "s1"


def test_flips_of_several_tasks_are_told_apart_and_the_picks_come_first():
    both = {"F16": written(1), "Q4_0": written(0), "Q2_K": written(0)}
    found = collect_flips(
        rows("Q2_K", "Q4_0"),
        [task_of(1, "a"), task_of(1, "b")],
        {"a": both, "b": both},
        pick="Q4_0",
    )
    assert [(flip.label, flip.task) for flip in found] == [
        ("Q4_0", "a"),
        ("Q4_0", "b"),
        ("Q2_K", "a"),
        ("Q2_K", "b"),
    ]
    assert "Task" in flips_table(found)[0]


def test_epochs_of_a_sample_are_one_item_and_show_an_answer_that_is_wrong():
    results = {
        "mine": {
            "F16": written(1, 1, 1, 1, epochs=2),
            "Q2_K": written(1, 1, 1, 0, epochs=2),
        }
    }
    task = task_of(2, epochs=2, k=2, reduction="pass^k")
    (flip,) = collect_flips(rows("Q2_K"), [task], results, pick=None)
    assert flip.item == "s1"
    assert flip.candidate_choice == "answer 3 worth 0"


def test_a_candidate_that_lost_everything_does_not_fill_the_report():
    n = 500
    results = {"mine": {"F16": written(*[1] * n), "Q2_K": written(*[0] * n)}}
    found = collect_flips(rows("Q2_K"), [task_of(n)], results, pick="Q2_K")
    assert 0 < len(found) <= MOST_FLIPS


@pytest.mark.parametrize("tasks", [None, [], [task_of(1)]])
def test_where_nothing_was_asked_nothing_flips(tasks):
    assert collect_flips(rows("Q2_K"), tasks, {}, pick=None) == ()


def chunk(kld: list[float]) -> ChunkDivergence:
    n = len(kld)
    ones = np.ones(n, np.bool_)
    return ChunkDivergence(
        nll=np.full(n, 3.0, np.float32),
        nll_base=np.full(n, 0.5, np.float32),
        nll_base_exact=np.full(n, 0.5),
        kld=np.array(kld),
        dp=np.zeros(n, np.float32),
        same_top=ones,
        same_top_record=ones,
        n_bytes=n,
    )


def scored(*labels: str, n_chunks: int = 12, kld: float = 1.0) -> ScoredText:
    shape = [0.0] * 30 + [kld] * 24 + [0.0] * 6
    chunks = {label: [chunk(shape)] * n_chunks for label in ("F16", *labels)}
    pieces = [[f" w{number}" for number in range(60)]] * n_chunks
    return ScoredText(chunks, pieces, "")


def test_the_worst_passage_of_each_chunk_is_where_its_kl_is_highest():
    kld = np.zeros(60)
    kld[30:54] = 1.0
    pieces = [[f"w{i}" for i in range(60)]] * 2
    found = worst_passages("Q2_K", [kld, kld / 2], pieces, count=2)
    assert [passage.chunk for passage in found] == [0, 1]
    assert found[0].pieces[0] == "w30"
    assert found[0].kld == pytest.approx(1.0)


def test_ten_passages_are_shown_the_picks_first_and_one_of_every_other():
    labels = ("Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M")
    found = collect_passages(rows(*labels), scored(*labels), pick="Q4_0")
    assert [passage.label for passage in found] == ["Q4_0"] * 7 + [
        "Q2_K",
        "Q3_K_M",
        "Q4_K_M",
    ]


def test_without_a_pick_all_have_their_share_of_the_passages():
    labels = ("Q2_K", "Q4_0")
    found = collect_passages(rows(*labels), scored(*labels), pick=None)
    assert [passage.label for passage in found] == ["Q2_K"] * 5 + ["Q4_0"] * 5


def test_passages_of_several_texts_name_theirs_and_of_one_do_not():
    texts = {"prose": scored("Q2_K"), "code": scored("Q2_K", kld=2.0)}
    found = collect_passages(rows("Q2_K"), texts, pick="Q2_K")
    assert {passage.text for passage in found} == {"code"}
    alone = collect_passages(rows("Q2_K"), scored("Q2_K"), pick="Q2_K")
    assert {passage.text for passage in alone} == {""}


def test_what_reads_as_the_reference_is_not_shown():
    assert collect_passages(rows("Q8_0"), scored("Q8_0", kld=0.01), pick="Q8_0") == ()


def test_a_passage_tells_what_both_models_gave_its_worst_token():
    (found, *_) = collect_passages(rows("Q2_K"), scored("Q2_K"), pick="Q2_K")
    assert worst_token(found) == "“w30”: 61 % in the reference, 5.0 % here"
    assert "reference 61 %, here 5.0 %" in passages_html([found])


@pytest.mark.parametrize("kld", [float("nan"), -0.001, 40.0])
def test_a_token_is_shaded_whatever_its_divergence(kld):
    page = passages_html([Passage("Q2_K", 0, 1.0, ("a", "b"), (kld, 0.1))])
    assert page.count("rgba(213,94,0,") == 2


def test_a_choice_that_is_right_is_called_so_and_not_repeated():
    flip = Flip("Q2_K", "1", "q", "sits.", "sits.", "eats.")
    assert flips_table([flip])[1][0][-2:] == ["right", "eats."]
    assert "lost" in flips_html([flip])
