from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.errors import UsageError
from localkit.magics.interpolate import interpolate

NAMES = {"topic": "rain", "n": 3, "words": ["a", "b"], "outer": {"inner": {"key": 7}}}


def fill(text: str) -> str:
    return interpolate(text, lambda source: eval(source, dict(NAMES)))


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("about {{topic}}", "about rain"),
        ("{{ topic.upper() }}!", "RAIN!"),
        ("{{n + 1}} and {{n}}", "4 and 3"),
        ('{{ {"a": {"b": n}}["a"]["b"] }}', "3"),
        ("{{{1: {2: n}}}}", "{1: {2: 3}}"),
        ('{{"}}"}}', "}}"),
        (r"\{{topic}} stays", "{{topic}} stays"),
        ("{{", "{{"),
        ("an open {{ brace", "an open {{ brace"),
    ],
)
def test_double_braces_are_python(text: str, filled: str) -> None:
    assert fill(text) == filled


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": [1, 2, {}]}}',
        r"\frac{a}{b} and \begin{cases} x \end{cases}",
        "def f(x):\n    return {k: v for k, v in x.items()}",
        "const f = () => { return `${x}`; }",
        "{topic} and $topic and %topic",
    ],
)
def test_json_latex_and_code_stay_as_they_are(text: str) -> None:
    assert fill(text) == text


def test_a_value_is_not_looked_at_again() -> None:
    assert interpolate("{{x}}", lambda _: "{{y}}") == "{{y}}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{missing}}", "{{missing}} failed with NameError"),
        ("{{n / 0}}", "{{n / 0}} failed with ZeroDivisionError"),
        ("int a[2][2] = {{1,2},{3,4}};", "{{1,2},{3,4}} is not a Python expression"),
        ("{{}}", "{{}} is not a Python expression"),
        ("{{import os}}", "{{import os}} is not a Python expression"),
    ],
)
def test_an_error_names_the_expression(text: str, name: str) -> None:
    with pytest.raises(UsageError) as raised:
        fill(text)
    assert name in raised.value.one_line()
    assert "--raw" in raised.value.hint


@given(st.text(alphabet=st.characters(exclude_characters="{\\")))
def test_text_without_double_braces_is_untouched(text: str) -> None:
    assert interpolate(text, lambda _: pytest.fail("nothing to evaluate")) == text


@given(st.text())
def test_any_text_is_filled_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(interpolate(text, lambda _: ""), str)
