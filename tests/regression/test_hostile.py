"""Notebooks come from anybody: nothing in them breaks a run, or acts in a report."""

from __future__ import annotations

from typing import Any

import pytest

from localkit.errors import ResultsInvalid
from localkit.regression.finding import Finding, Outcome
from localkit.regression.report_page import report_html
from localkit.regression.subjects import subjects_of
from localkit.regression.words import outcome_text
from tests.fixtures.regression import FIGURES, shown

NESTED: Any = {"receipt": 1}
for _ in range(200):
    NESTED = {"deeper": NESTED}


@pytest.mark.parametrize(
    "ours",
    [
        {"receipt": {}},
        {**FIGURES, "n_prompt": "many"},
        {**FIGURES, "receipt": {**FIGURES["receipt"], "params": [1]}},
        {"comparison": {"rows": 3}},
        {"evaluation": {"parts": [{}]}},
        {**FIGURES, "calibration": {"matmul_per_s": 0, "copy_per_s": -1}},
    ],
)
def test_N3_forged_metadata_is_refused_by_name(ours: Any) -> None:
    with pytest.raises(ResultsInvalid, match="metadata of an output is no"):
        subjects_of([shown("x", ours)])


@pytest.mark.parametrize(
    "ours", ["text", 3, [], {}, {"receipt": "none"}, NESTED, {"other": {"a": 1}}]
)
def test_metadata_without_a_result_is_nothing(ours: Any) -> None:
    assert subjects_of([shown("x", ours)]) == []


def test_outputs_of_no_shape_are_nothing() -> None:
    odd: list[dict[str, Any]] = [{}, {"metadata": 3}, {"data": []}, {"metadata": None}]
    assert subjects_of(odd) == []


PAYLOAD = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e"


def test_N1_no_text_acts_in_the_report_or_the_terminal() -> None:
    found = Finding("changed", PAYLOAD, before=PAYLOAD, after=PAYLOAD + " more")
    outcome = Outcome(1, PAYLOAD, (found,))
    page = report_html([{"notebook": PAYLOAD, **outcome.as_dict()}])
    for sign in ("<script>alert", "<img", "\x1b", "\u202e"):
        assert sign not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    text = outcome_text("a.ipynb", outcome)
    assert "\x1b" not in text
    assert "\u202e" not in text
