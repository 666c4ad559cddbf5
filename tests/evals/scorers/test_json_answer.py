from __future__ import annotations

import json
from typing import Any

import pytest

from localkit.evals.scorers import json_answer
from localkit.evals.scorers.json_answer import Json
from tests.evals.scorers.judged import judged, worth

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"name": "Ada"}', 1),
        (" [1, 2] \n", 1),
        ('```json\n{"name": "Ada"}\n```', 1),
        ('Here: {"name": "Ada"}', 0),
        ("{'name': 'Ada'}", 0),
        ('{"age": NaN}', 0),
        ('{"a": 1, "a": 2}', 0),
        ("[" * 100_000, 0),
        ("[" * 70 + "]" * 70, 0),
        ("9" * 5000, 0),
        ("", 0),
    ],
)
def test_an_answer_is_json_or_not(said: str, value: float) -> None:
    score = judged(Json(), said)
    assert score.value == value
    assert value or score.why.startswith("not JSON")


def test_a_fence_may_be_refused() -> None:
    assert worth(Json(fenced=False), "```json\n{}\n```") == 0


def test_an_answer_fits_its_schema_or_says_where_not() -> None:
    assert worth(Json(schema=PERSON), '{"name": "Ada", "age": 36}') == 1
    score = judged(Json(schema=PERSON), '{"name": "Ada", "age": "36"}')
    assert (score.value, score.why) == (
        0,
        "does not fit the schema at age: '36' is not of type 'integer'",
    )


def test_every_sample_may_have_its_own_schema() -> None:
    scorer = Json(schema_field="schema")
    for schema in (PERSON, json.dumps(PERSON)):
        assert worth(scorer, "{}", fields={"schema": schema}) == 0
    assert worth(scorer, "{}", fields={"schema": {}}) == 1


@pytest.mark.parametrize(
    "schema", [None, "{", 3, {"type": "thing"}, {"$ref": "#/nowhere"}, {"$ref": "#"}]
)
def test_E2_a_broken_schema_of_a_sample_leaves_it_unscored(schema: object) -> None:
    score = judged(Json(schema_field="s"), "{}", fields={"s": schema})
    assert score.value is None
    assert score.why


def test_E5_a_schema_fetches_nothing() -> None:
    schema = {"$ref": "http://127.0.0.1:1/schema.json"}
    score = judged(Json(schema_field="s"), "{}", fields={"s": schema})
    assert score.value is None
    assert "refers to" in score.why


def test_E5_a_catastrophic_pattern_of_a_schema_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_answer, "PATTERN_S", 0.1)
    schema = {"type": "string", "pattern": "^(a|a|aa)+$"}
    assert worth(Json(schema=schema), '"aaa"') == 1
    assert worth(Json(schema=schema), '"b"') == 0
    score = judged(Json(schema=schema), json.dumps("a" * 60 + "b"))
    assert score.value is None
    assert "took longer" in score.why


def test_values_are_compared_as_json() -> None:
    equal = Json(compare="equal")
    assert worth(equal, '{"b": [1.0], "a": true}', '{"a": true, "b": [1]}') == 1
    assert worth(equal, '{"a": 1}', '{"a": true}') == 0
    assert worth(equal, "[1, 2]", "[2, 1]", "[1, 2]") == 1
    assert worth(equal, "{}", "no JSON") is None
    assert worth(equal, "{}") is None


def test_keys_earn_a_part() -> None:
    keys = Json(compare="keys")
    wanted = '{"a": 1, "b": 2, "c": 3, "d": 4}'
    assert worth(keys, '{"a": 1, "b": 2, "c": 0, "d": 4}', wanted) == 0.75
    assert worth(keys, '{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}', wanted) == 0.8
    assert worth(keys, "[]", wanted) == 0
