"""What rows are, and how a template is filled with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.asking.rows import Template, as_table
from localkit.errors import (
    UsageError,
)
from tests.fixtures.asking import GREEDY

if TYPE_CHECKING:
    from localkit.model import Model


def test_a_value_of_another_type_than_the_template_wants_is_an_error_of_its_row(
    model: Model,
) -> None:
    out = model.map([{"x": 1.5}, {"x": "one"}], "{x:.2f}", params=GREEDY)
    assert out["error"].isna().tolist() == [True, False]
    assert "does not fit" in out["error"][1]


def test_a_column_that_is_not_there_is_named_with_those_that_are(model: Model) -> None:
    with pytest.raises(UsageError, match="names 'txet'") as caught:
        model.map([{"text": "a", "label": 1}], "{txet}")
    assert "text, label" in caught.value.hint


@pytest.mark.parametrize("template", ["{text", "{}", "{0}", "{text!x}"])
def test_a_template_that_cannot_be_filled_is_refused_before_any_row(
    model: Model, template: str
) -> None:
    with pytest.raises(UsageError):
        model.map([{"text": "a"}], template)


def test_braces_and_parts_of_values_can_be_written(model: Model) -> None:
    template = Template('{{"q": "{row[0]}"}}', ["row"])
    assert template.fill({"row": ["x", "y"]}) == '{"q": "x"}'


def test_a_column_that_the_answer_would_overwrite_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="'answer' already") as caught:
        model.map([{"text": "a", "answer": "b"}], "{text}")
    assert "into=" in caught.value.hint
    out = model.map(
        [{"text": "a", "answer": "b"}], "{text}", into="said", params=GREEDY
    )
    assert out["said"].notna().all()


@pytest.mark.parametrize("inputs", ["text", ["a", "b"], 3, {"text": "a"}])
def test_what_is_not_rows_is_refused(inputs: object) -> None:
    with pytest.raises(UsageError, match="not rows"):
        as_table(inputs)
