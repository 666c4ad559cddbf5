"""The value of an answer of a fixed form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from localkit.chat.parsing import class_of, parse
from localkit.runtime.params import Structure
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.chat.result import Result
    from localkit.kit import Kit

ANY = Structure("json")
SCHEMA = Structure("json_schema", "{}")


class Person(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        if name == "crash":
            raise ZeroDivisionError
        return name


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    with fake_kit(tiny_gguf) as kit:
        yield kit


def answered(kit: Kit, text: str, **options: Any) -> Result:
    kit.runtime.replies = [text]  # type: ignore[attr-defined] # the fake
    return kit.load(MODEL).chat("Who?", **options)


def test_json_becomes_what_it_spells() -> None:
    assert parse('{"a": [1, null]}', SCHEMA).value == {"a": [1, None]}
    assert parse("null", ANY) == (None, "")


def test_a_class_becomes_an_instance() -> None:
    assert parse('{"name": "Ann"}', SCHEMA, Person).value == Person(name="Ann")


@pytest.mark.parametrize("kind", ["choice", "regex", "gbnf", "lark"])
def test_other_forms_stay_text(kind: Any) -> None:
    assert parse("yes", Structure(kind, "x")).value == "yes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": 3}', "no Person"),
        ('{"name": "crash"}', "no Person"),
        ('{"name": "An', "no Person"),
        ("", "no Person"),
    ],
)
def test_what_does_not_fit_says_why_and_raises_nothing(text: str, says: str) -> None:
    value, error = parse(text, SCHEMA, Person)
    assert value is None
    assert says in error
    assert "\n" not in error


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_N1_any_text_is_a_value_or_a_reason(text: str) -> None:
    for form in (None, Person):
        value, error = parse(text, SCHEMA, form)
        assert error or form or json.loads(text) == value


def test_deep_json_is_a_reason() -> None:
    assert parse("[" * 100_000, ANY).error


def test_only_a_pydantic_class_is_one() -> None:
    assert class_of(Person) is Person
    for value in (Person(name="a"), dict, {"type": "object"}, None, "Person"):
        assert class_of(value) is None


def test_a_result_knows_the_class_it_was_asked_in(kit: Kit) -> None:
    result = answered(kit, '{"name": "Ann"}', structure=Person)
    assert result.parsed == Person(name="Ann")
    assert (result.parse_error, result.note) == ("", "")


def test_a_result_that_does_not_fit_notes_it(kit: Kit) -> None:
    result = answered(kit, "Ann", structure=Person)
    assert result.parsed is None
    assert "has not the form that was asked for" in result.note
    assert "has not the form" in result.bundle()[0]["text/plain"]


def test_a_result_without_a_form_has_no_value(kit: Kit) -> None:
    result = answered(kit, "Ann")
    assert result.parsed is None
    assert "no form was asked for" in result.parse_error
    assert result.note == ""
