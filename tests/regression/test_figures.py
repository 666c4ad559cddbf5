"""Comparisons and evaluations: which moves of a figure are a change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from localkit.regression.checking import check_cell
from localkit.regression.finding import Outcome, Rules
from tests.fixtures.regression import RUNTIME, shown


def figure(value: float, error: float = 0.01) -> dict[str, float]:
    return {
        "value": value,
        "low": value - 2 * error,
        "high": value + 2 * error,
        "se": error,
    }


def row(label: str, **changed: Any) -> dict[str, Any]:
    return {
        "label": label,
        "quant": label,
        "ref": f"tiny:{label.lower()}",
        "weights_digest": f"sha256:{label}",
        "quality": {"kld": figure(0.05), "perplexity": figure(12.0, 0.5)},
        "tasks": [
            {
                "name": "quiz",
                "metric": "accuracy",
                "score": figure(0.6, 0.05),
                "n_items": 100,
                "n_lost": 2,
                "n_gained": 0,
            }
        ],
        "speed": {"prefill": {"median": 100.0}, "decode": {"median": 50.0}},
        "memory": {"weights": 100, "kv": 10, "compute": 10, "peak": 130},
        **changed,
    }


def comparison(**changed: Any) -> dict[str, Any]:
    return {
        "setup": {
            "model": "tiny",
            "effort": "quick",
            "corpora": [{"name": "prose", "digest": "sha256:1", "n_tokens": 1020}],
            "tasks": [{"name": "quiz", "digest": "sha256:2", "n_items": 100}],
            "fingerprint": RUNTIME,
        },
        "rows": [row("Q4_0")],
        "flips": [flip("a"), flip("b")],
        **changed,
    }


def flip(item: str, *, lost: bool = True) -> dict[str, Any]:
    return {
        "label": "Q4_0",
        "task": "quiz",
        "item": item,
        "reference_value": float(lost),
        "candidate_value": float(not lost),
    }


def judged(before: Any, after: Any, kind: str = "comparison", **rules: Any) -> Outcome:
    return check_cell(
        1,
        "",
        [shown("", {kind: before})],
        [shown("", {kind: after})],
        rules=Rules(**rules),
    )


def with_row(**changed: Any) -> dict[str, Any]:
    return comparison(rows=[row("Q4_0", **changed)])


def words(outcome: Outcome) -> str:
    return "\n".join(one.words for one in outcome.findings)


def test_the_same_comparison_is_the_same() -> None:
    assert judged(comparison(), comparison()).standing == "same"


@pytest.mark.parametrize(
    ("kld", "perplexity", "standing"),
    [
        (0.05, 12.1, "within"),
        (0.05, 12.3, "changed"),
        (0.05, 11.7, "changed"),
        (0.069, 12.0, "within"),
        (0.071, 12.0, "changed"),
    ],
)
def test_losses_have_bands(kld: float, perplexity: float, standing: str) -> None:
    quality = {"kld": figure(kld), "perplexity": figure(perplexity)}
    assert judged(comparison(), with_row(quality=quality)).standing == standing


@pytest.mark.parametrize(
    ("score", "k", "standing"),
    [(0.7, 3, "within"), (0.76, 3, "changed"), (0.7, 1, "changed")],
)
def test_a_score_may_move_by_k_standard_errors(
    score: float, k: float, standing: str
) -> None:
    tasks = [{**row("")["tasks"][0], "score": figure(score)}]
    outcome = judged(comparison(), with_row(tasks=tasks), k=k)
    assert outcome.standing == standing


def test_items_that_change_sides_are_tested_pair_by_pair() -> None:
    lost = [flip(f"item {number}") for number in range(10)]
    tasks = [{**row("")["tasks"][0], "n_lost": 12}]
    after = comparison(
        rows=[row("Q4_0", tasks=tasks)], flips=[flip("a"), flip("b"), *lost]
    )
    outcome = judged(comparison(), after)
    assert outcome.standing == "changed"
    assert "10 items got worse and 0 better" in words(outcome)


def test_flips_both_ways_are_no_change() -> None:
    after = comparison(flips=[flip("c"), flip("d")])
    outcome = judged(comparison(), after)
    assert outcome.standing == "within"
    assert "2 items got worse and 2 better" in words(outcome)


def test_another_weights_digest_is_a_change() -> None:
    after = with_row(weights_digest="sha256:new", quant="Q4_1")
    outcome = judged(comparison(), after)
    assert outcome.standing == "changed"
    assert "Q4_0: the weights changed: Q4_0 sha256:Q4_0… → Q4_1" in words(outcome)
    assert judged(comparison(), after, allow_change=True).standing == "same"


def test_what_measures_something_else_is_not_compared_but_fails() -> None:
    after = comparison()
    after["setup"] = copy.deepcopy(after["setup"])
    after["setup"]["effort"] = "standard"
    after["setup"]["tasks"][0]["n_items"] = 400
    outcome = judged(comparison(), after)
    assert "effort quick → standard (LOCALKIT_EFFORT); 100 → 400 of quiz" in words(
        outcome
    )
    assert outcome.standing == "changed"


def test_a_candidate_that_is_gone_or_new_is_a_change() -> None:
    both = comparison(rows=[row("Q4_0"), row("Q8_0")])
    assert "Q8_0 is no longer compared" in words(judged(both, comparison()))
    assert "Q8_0 is new" in words(judged(comparison(), both))


def test_memory_and_speed_are_ratios() -> None:
    memory = {"weights": 200, "kv": 20, "compute": 20}
    outcome = judged(comparison(), with_row(memory=memory), perf=0.8)
    assert outcome.standing == "changed"
    assert "memory 2.00 × the saved" in outcome.failures[0].words


def evaluation(samples: dict[str, float | None] | None, **changed: Any) -> Any:
    part = {
        "label": "tiny",
        "model": "tiny:f16",
        "weights_digest": "sha256:1",
        "task": {"name": "quiz", "digest": "sha256:2", "n_items": 20},
        "metric": "accuracy",
        "score": figure(0.5, 0.1),
        "environment": {"engine": "1"},
        "samples": samples,
        **changed,
    }
    return {"parts": [part]}


def test_an_evaluation_is_compared_sample_by_sample() -> None:
    right: dict[str, float | None] = {str(number): 1.0 for number in range(20)}
    ten_wrong = right | {str(number): 0.0 for number in range(10)}
    two_wrong = right | {"1": 0.0, "2": 0.0}
    outcome = judged(evaluation(right), evaluation(ten_wrong), "evaluation")
    assert outcome.standing == "changed"
    assert "McNemar p = 0.002" in words(outcome)
    outcome = judged(evaluation(right), evaluation(two_wrong), "evaluation")
    assert outcome.standing == "within"


def test_too_many_samples_to_keep_are_said_and_the_score_counts() -> None:
    outcome = judged(evaluation(None), evaluation(None), "evaluation")
    assert outcome.standing == "same"
    assert "too many samples" in words(outcome)


def test_an_evaluation_of_other_weights_or_of_another_task_is_a_change() -> None:
    for changed in (
        {"weights_digest": "sha256:9"},
        {"task": {"name": "quiz", "digest": "sha256:9", "n_items": 20}},
    ):
        after = evaluation({}, **changed)
        assert judged(evaluation({}), after, "evaluation").standing == "changed"
