"""The form of an answer, as options say it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from localkit.cli.forms import take_form
from localkit.cli.shorthand import schema_of
from localkit.errors import UsageError
from localkit.runtime.params import Structure

if TYPE_CHECKING:
    from pathlib import Path


class Person(BaseModel):
    name: str
    age: int


NAMES: dict[str, object] = {
    "Person": Person,
    "schema": {"type": "array"},
    "labels": ["good", "bad"],
    "number": 5,
}


def form(**given: str) -> Any:
    options: dict[str, Any] = dict.fromkeys(("schema", "choices", "regex", "grammar"))
    return take_form(options | given, NAMES)


def properties(text: str) -> dict[str, Any]:
    found: dict[str, Any] = schema_of(text)["properties"]
    return found


def test_fields_in_a_few_words_are_a_schema() -> None:
    assert schema_of("name, age int") == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    assert properties("ok bool, x float, s str") == {
        "ok": {"type": "boolean"},
        "x": {"type": "number"},
        "s": {"type": "string"},
    }


def test_lists_and_descriptions() -> None:
    assert properties("tags list[str]: words, rows list[list[int]], any list") == {
        "tags": {
            "type": "array",
            "items": {"type": "string"},
            "description": "words",
        },
        "rows": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}},
        },
        "any": {"type": "array", "items": {"type": "string"}},
    }


def test_on_lines_a_description_may_hold_commas() -> None:
    found = properties("name: first, then last\nage int: in years\n")
    assert found["name"]["description"] == "first, then last"
    assert found["age"] == {"type": "integer", "description": "in years"}


@pytest.mark.parametrize(
    "text", ["", ",", "a b c", "1x", "a, a", "x integer", "x list[", "a-b", "x list[y]"]
)
def test_a_field_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        schema_of(text)


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from("ab1_ ,:\n[]{}listrnofb\u0301\x00é"), max_size=60))
def test_N6_any_shorthand_is_a_schema_or_a_refusal(text: str) -> None:
    try:
        schema = schema_of(text)
    except UsageError:
        return
    assert json.loads(json.dumps(schema)) == schema
    assert schema["required"] == list(schema["properties"])
    assert all(name.isidentifier() for name in schema["properties"])


def test_a_schema_is_a_name_of_the_notebook_a_file_json_or_fields(
    tmp_path: Path,
) -> None:
    file = tmp_path / "form.json"
    file.write_text('{"type": "object"}', encoding="utf-8")
    assert form(schema="Person") is Person
    assert form(schema="schema") == {"type": "array"}
    assert form(schema="json") == Structure("json")
    assert form(schema='{"a": 1}') == Structure("json_schema", '{"a": 1}')
    assert form(schema=str(file)) == Structure("json_schema", '{"type": "object"}')
    assert form(schema="name, age int") == schema_of("name, age int")
    assert form() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("number", "is a int"),
        ("Persn", "no schema to read in 'Persn'"),
        ("nowhere.json", "nowhere.json"),
        ("../form.json", "form.json"),
        ("x" * 400, "no schema to read"),
        ("a\x00b", "field"),
    ],
)
def test_one_word_that_means_nothing_is_no_form_of_one_field(
    text: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        form(schema=text)


def test_choices_are_written_or_a_list_of_the_notebook() -> None:
    assert form(choices="yes, no ,") == ["yes", "no"]
    assert form(choices="labels") == ["good", "bad"]
    for text in ("", "one", "yes,yes", "number"):
        with pytest.raises(UsageError, match="two or more"):
            form(choices=text)


def test_a_pattern_and_a_grammar(tmp_path: Path) -> None:
    text = 'root ::= "yes" | "no"'
    file = tmp_path / "answer.gbnf"
    file.write_text(text, encoding="utf-8")
    assert form(regex="[0-9]+") == Structure("regex", "[0-9]+")
    assert form(grammar=text) == Structure("gbnf", text)
    assert form(grammar=str(file)) == Structure("gbnf", text)
    with pytest.raises(UsageError, match="no grammar"):
        form(grammar="nowhere.gbnf")
    with pytest.raises(UsageError, match="empty"):
        form(regex="")


def test_an_answer_has_one_form() -> None:
    with pytest.raises(UsageError, match="--schema and --regex"):
        form(schema="json", regex="x")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "form.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not text"):
        form(schema=str(file))
    with pytest.raises(UsageError, match="a folder"):
        form(schema=str(tmp_path))
