from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.registry import as_scorer, make_scorer, scorer_types
from tests.evals.scorers.judged import judged

DETERMINISTIC: list[dict[str, Any]] = [
    {"type": "exact"},
    {"type": "exact", "ignore_case": True, "ignore_punctuation": True},
    {"type": "includes"},
    {"type": "includes", "words": False, "ignore_punctuation": True},
    {"type": "regex", "pattern": "(a|a|aa)+$", "timeout_s": 0.05},
    {"type": "numeric"},
    {"type": "numeric", "decimals": ",", "rel_tol": 0.1},
    {"type": "choice"},
    {"type": "choice", "labels": ["yes", "no"]},
    {"type": "f1"},
    {"type": "chrf"},
    {"type": "bleu"},
    {"type": "ter"},
    {"type": "rouge", "kind": "rouge2"},
    {"type": "rouge"},
    {"type": "json", "compare": "keys"},
    {"type": "json", "schema": {"type": "object"}},
    {"type": "tool_call", "partial": True},
    {"type": "instructions", "partial": True},
    {"type": "length", "at_most": 10},
]


COUNTED = ("sentences", "paragraphs", "bullets", "headings", "placeholders")


@pytest.mark.parametrize("table", DETERMINISTIC, ids=str)
def test_a_table_makes_a_scorer_that_says_what_it_is(table: dict[str, Any]) -> None:
    scorer = make_scorer(table)
    assert scorer == make_scorer(table) == as_scorer(scorer)
    definition = json.loads(json.dumps(scorer.definition()))
    assert {key: definition[key] for key in table} == table
    assert definition["name"] == scorer.name == table["type"]


def test_the_type_name_alone_makes_the_default_scorer() -> None:
    assert as_scorer("f1") == make_scorer({"type": "f1"})
    assert {"code", "judge", "similarity", *(one["type"] for one in DETERMINISTIC)} == {
        *scorer_types()
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "no scorer 'None'"),
        ({"type": "exakt"}, "no scorer 'exakt'"),
        ({"type": ["exact"]}, r"no scorer '\['"),
        ({"type": "exact", "case": True}, "no option 'case'"),
        ({"type": "exact", "ignore_case": "perhaps"}, "ignore_case"),
        ({"type": "numeric", "rel_tol": -1}, "rel_tol is -1"),
        ({"type": "numeric", "abs_tol": math.inf}, "abs_tol is inf"),
        ({"type": "numeric", "select": "second"}, "select"),
        ({"type": "regex"}, "pattern"),
        ({"type": "regex", "pattern": "("}, "invalid"),
        ({"type": "regex", "pattern": "(a)", "group": 2}, "no group 2"),
        ({"type": "regex", "pattern": "a", "timeout_s": 1e9}, "timeout_s"),
        ({"type": "json", "schema": {"type": "thing"}}, "schema is invalid"),
        ({"type": "json", "schema": {}, "schema_field": "s"}, "both given"),
        ({"type": "length", "at_least": 3, "at_most": 2}, "at_most is 2"),
    ],
)
def test_a_scorer_that_cannot_be_made_is_refused_by_name(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetInvalid, match=message) as caught:
        make_scorer(table)
    assert caught.value.hint
    assert "\n" not in caught.value.one_line()


@given(
    said=st.text(max_size=60),
    target=st.text(max_size=30),
    table=st.sampled_from(DETERMINISTIC),
)
@settings(max_examples=40, deadline=None)
def test_E2_no_answer_and_no_target_makes_a_scorer_raise(
    said: str, target: str, table: dict[str, Any]
) -> None:
    fields = {"checks": [{"type": "words", "at_least": 1}], "schema": target}
    scorer = make_scorer(table)
    score = judged(scorer, said, target, fields=fields, choices=("a", "b"), gold=0)
    if score.value is None:
        assert score.why
    else:
        assert 0 <= score.value <= 1
    assert score == judged(
        scorer, said, target, fields=fields, choices=("a", "b"), gold=0
    )


@pytest.mark.parametrize("table", DETERMINISTIC, ids=str)
def test_E2_without_a_target_it_is_unscored_never_wrong(table: dict[str, Any]) -> None:
    free = {"regex", "length"}
    needs_none = table["type"] in free or "schema" in table
    score = judged(make_scorer(table), "{}")
    assert (score.value is not None) == needs_none
    assert needs_none or score.why


@pytest.mark.parametrize("table", DETERMINISTIC, ids=str)
def test_E5_an_endless_answer_is_scored_in_no_time(table: dict[str, Any]) -> None:
    scorer = make_scorer(table)
    fields = {"checks": [{"type": kind, "at_least": 1} for kind in COUNTED]}
    started = time.monotonic()
    for said in ("answer" + " " * 20_000, "```\n" + "\n  " * 7000, "a" * 20_000):
        judged(scorer, said, "some words", fields=fields, choices=("a", "b"), gold=0)
    assert time.monotonic() - started < 5


def test_a_cut_answer_is_scored_and_says_that_it_was_cut() -> None:
    scorer = as_scorer("includes")
    score = judged(scorer, "It is Par", "Paris", finish_reason="length")
    assert score.value == 0
    assert "cut at its token limit" in score.why
    assert judged(scorer, "Paris", "Paris", finish_reason="length").value == 1
