from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from localkit.errors import GrammarInvalid
from localkit.runtime.params import Structure
from localkit.runtime.structured.forms import as_structure

if TYPE_CHECKING:
    from localkit.runtime.structured.compiler import Compiler


class Person(BaseModel):
    name: str
    age: int | None = None


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("json", "json"),
        ({"type": "string"}, "json_schema"),
        (Person, "json_schema"),
        (["yes", "no"], "choice"),
        (("yes", "no"), "choice"),
        (re.compile("[a-z]+"), "regex"),
    ],
)
def test_each_python_value_has_its_kind(value: object, kind: str) -> None:
    assert as_structure(value).kind == kind


def test_a_structure_stays_as_it_is() -> None:
    structure = Structure("lark", 'start: "a"')
    assert as_structure(structure) is structure


def test_a_pydantic_model_becomes_its_schema() -> None:
    assert json.loads(as_structure(Person).text) == Person.model_json_schema()


def test_flags_of_a_pattern_hold(words: Compiler) -> None:
    structure = as_structure(re.compile("a.", re.IGNORECASE | re.DOTALL))
    constraint = words.compile(structure).start()
    assert constraint.allows([ord("A") + 3]) in (0, 1)
    assert structure.text == "(?is)a."


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        "yes",
        [1, 2],
        {"a": object()},
        {"a": float("nan")},
        re.compile(b"a"),
        re.compile(r"\d", re.ASCII),
        str,
    ],
)
def test_a_value_that_is_no_form_is_refused_with_a_way_out(value: object) -> None:
    with pytest.raises(GrammarInvalid) as caught:
        as_structure(value)
    assert caught.value.hint
