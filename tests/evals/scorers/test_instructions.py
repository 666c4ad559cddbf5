from __future__ import annotations

from typing import Any

import pytest

from localkit.evals.scorers.checks import CHECKS, count_sentences
from localkit.evals.scorers.instructions import Instructions
from tests.evals.scorers.judged import judged, worth

PASSED_AND_FAILED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "words", "at_most": 2}, "two words", "now three words"),
    ({"type": "characters", "exactly": 3}, " abc ", "abcd"),
    ({"type": "sentences", "exactly": 2}, 'He said "no." Then left', "One. Two. 3."),
    ({"type": "paragraphs", "exactly": 2}, "a\n\n\nb", "a\nb"),
    ({"type": "lines", "at_least": 2}, "a\n\nb", "a\n"),
    ({"type": "bullets", "exactly": 2}, "- a\n* b", "- a\n-b"),
    ({"type": "headings", "at_least": 1}, "# Title\ntext", "#tag"),
    ({"type": "placeholders", "at_least": 1}, "Dear [name]", "Dear []"),
    ({"type": "contains", "words": ["red", "sea"]}, "The Red Sea.", "a red season"),
    ({"type": "forbids", "words": ["sorry"]}, "sorrys", "Sorry, no"),
    ({"type": "frequency", "word": "ha", "exactly": 2}, "ha, HA", "haha"),
    ({"type": "starts_with", "text": "Dear"}, " Dear Ada", "dear Ada"),
    ({"type": "ends_with", "text": "Bye."}, "ok. Bye.\n", "Bye. ok"),
    ({"type": "lower_case"}, "all lower, 3!", "Not lower"),
    ({"type": "upper_case"}, "ALL UPPER, 3!", "Not UPPER"),
    ({"type": "no_commas"}, "one; two", "one, two"),
    ({"type": "json"}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ({"type": "title"}, "<<Joy>>\nIt is", "Joy"),
    ({"type": "quoted"}, ' "all of it" ', '"part" of it'),
    ({"type": "one_of", "texts": ["Yes.", "No."]}, "yes", "yes and no"),
]


@pytest.mark.parametrize(
    ("check", "passed", "failed"),
    PASSED_AND_FAILED,
    ids=[str(one[0]["type"]) for one in PASSED_AND_FAILED],
)
def test_a_check_tells_what_meets_it_from_what_does_not(
    check: dict[str, Any], passed: str, failed: str
) -> None:
    assert worth(Instructions(), passed, fields={"checks": [check]}) == 1
    score = judged(Instructions(), failed, fields={"checks": [check]})
    assert (score.value, score.why) == (0, f"failed: {check['type']}")


def test_every_check_is_tried_above() -> None:
    assert {one[0]["type"] for one in PASSED_AND_FAILED} == set(CHECKS)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("One.", 1),
        ("Version 3.5 is out. Really?! Yes", 3),
        ("Wait... what?", 2),
        ("一。二。", 2),
    ],
)
def test_sentences_are_counted_by_their_ends(text: str, n: int) -> None:
    assert count_sentences(text) == n


def test_all_checks_must_pass_unless_a_part_counts() -> None:
    checks = '[{"type": "no_commas"}, {"type": "words", "at_least": 5}]'
    assert worth(Instructions(), "two words", fields={"checks": checks}) == 0
    part = Instructions(partial=True)
    assert worth(part, "two words", fields={"checks": checks}) == 0.5


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        (None, "no list of checks"),
        ([], "no list of checks"),
        ("{", "Expecting"),
        (["words"], "a check is a str"),
        ([{"type": "wit"}], "no check 'wit'"),
        ([{"type": ["words"]}], "no check"),
        ([{"type": "words"}], "no bound"),
        ([{"type": "words", "at_lest": 3}], "takes at_least"),
        ([{"type": "words", "at_most": "many"}], "invalid literal"),
        ([{"type": "words", "at_most": [1]}], "option of the wrong type"),
        ([{"type": "contains"}], "takes words"),
        ([{"type": "contains", "words": [3]}], "option of the wrong type"),
        ([{"type": "starts_with", "text": 3}], "option of the wrong type"),
    ],
)
def test_E2_a_check_that_is_not_understood_leaves_the_sample_unscored(
    checks: object, why: str
) -> None:
    score = judged(Instructions(), "text", fields={"checks": checks})
    assert score.value is None
    assert why in score.why
