"""The engine by itself: what it refuses and where, and what no record can hold."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from localkit.chat.go import reading
from localkit.chat.go.parser import parse
from localkit.chat.go.template import GoTemplate
from localkit.chat.messages import Message, as_messages
from localkit.chat.tools import ToolCall
from localkit.errors import TemplateError

TALK = as_messages("Hi")


def _rendered(body: str) -> str:
    return GoTemplate("{{ range .Messages }}" + body + "{{ end }}").render(TALK)


@pytest.mark.parametrize(
    ("source", "says", "line"),
    [
        ("{{ .a", "unclosed action", 1),
        ("\n\n{{ if }}{{ end }}", "missing value for if", 3),
        ("{{ if .a }}\n", "an {{end}} is missing", 1),
        ("\n{{ end }}", "unexpected {{end}}", 2),
        ("{{ else }}", "unexpected {{else}}", 1),
        ("{{ nope 1 }}", "function 'nope' not defined", 1),
        ("\n{{ $x }}", "undefined variable '$x'", 2),
        ('{{ "a }}', "unterminated quoted string", 1),
        ("{{ `a }}", "unterminated raw quoted string", 1),
        ('{{ "\\q" }}', "invalid syntax", 1),
        ("{{ 'ab' }}", "malformed character constant", 1),
        ("{{ 1 | 2 }}", "non executable command", 1),
        ("{{ 3i }}", "complex numbers", 1),
        ("{{ 99999999999999999999 }}", "overflows int", 1),
        ("{{ 08 }}", "illegal number syntax", 1),
        ("{{ /* a }}", "unexpected '/'", 1),
        ("{{/* a }}", "unclosed comment", 1),
        ("{{ .a.b$ }}", "bad character", 1),
        ("{{ break }}", "outside {{range}}", 1),
        ("{{ ( .a }}", "unclosed left paren", 1),
        ("{{ .a ) }}", "unexpected right paren", 1),
        ("{{ template .a }}", "unexpected '.a' in template clause", 1),
        ('{{ define "a" }}1{{ end }}{{ define "a" }}2{{ end }}', "defined twice", 1),
        ("{{ range .a }}{{ else if .b }}{{ end }}", "unexpected", 1),
    ],
)
def test_a_template_that_does_not_parse_says_why_and_where(
    source: str, says: str, line: int
) -> None:
    with pytest.raises(TemplateError, match="does not parse") as caught:
        GoTemplate(source).render(TALK)
    assert says in str(caught.value)
    assert f"(line {line})" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("\n{{ .Nope }}", "can't evaluate field Nope"),
        ("\n{{ index .Content 9 }}", "index out of range: 9"),
        ("\n{{ eq .Content 1 }}", "incompatible types for comparison"),
        ("\n{{ len 3 }}", "len of type int"),
        ('\n{{ template "x" }}', "template 'x' not defined"),
        ("\n{{ lt .Role }}", "wrong number of args for lt: want 2 got 1"),
        ("\n{{ .Content.Length }}", "can't evaluate field Length in type string"),
        ("\n{{ printf 1 }}", "expected string; got int"),
    ],
)
def test_a_template_that_fails_says_why_and_where(body: str, says: str) -> None:
    with pytest.raises(TemplateError, match="the Go template fails") as caught:
        _rendered(body)
    assert says in str(caught.value)
    assert "(line 2)" in str(caught.value)


def test_dates_are_of_today_and_yesterday() -> None:
    text = _rendered('{{ currentDate }} {{ yesterdayDate }} {{ currentDate "x" }}')
    now = datetime.now().astimezone()
    days = [f"{now - timedelta(days=n):%Y-%m-%d}" for n in (0, 1, 0)]
    assert text == " ".join(days)


def test_a_text_that_is_cut_within_a_character_has_no_lone_surrogate() -> None:
    text = GoTemplate("{{ slice .Prompt 0 1 }}|{{ slice .Prompt 1 }}").render(
        as_messages("é")
    )
    assert text == "\ufffd|\ufffd"
    whole = GoTemplate("{{ slice .Prompt 0 1 }}{{ slice .Prompt 1 }}")
    assert whole.render(as_messages("é")) == "é"


def test_calls_and_thinking_of_messages_put_together_are_all_kept() -> None:
    calls = tuple(ToolCall(name, {}, "1") for name in "ab")
    talk = [
        Message("assistant", "x", thinking=f"t{call.name}", tool_calls=(call,))
        for call in calls
    ]
    source = (
        "{{ range .Messages }}{{ .Content }}|{{ .Thinking }}|"
        "{{ range .ToolCalls }}{{ .Function.Name }}{{ end }}{{ end }}"
    )
    assert GoTemplate(source).render(talk) == "x\n\nx|ta\n\ntb|ab"


def test_numbers_that_a_float_cannot_hold_keep_their_digits() -> None:
    call = ToolCall("f", {"n": 2**53 + 1, "m": 7, "x": 0.1}, "1")
    source = (
        "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}"
        "{{ end }}{{ end }}"
    )
    text = GoTemplate(source).render([Message("assistant", "", tool_calls=(call,))])
    assert text == '{"m":7,"n":9007199254740993,"x":0.1}'


def test_what_a_schema_says_beyond_the_fields_of_ollama_is_kept() -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "f",
            "description": "d",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer", "minimum": 1}},
                "additionalProperties": False,
            },
        },
    }
    text = GoTemplate("{{ range .Messages }}{{ end }}{{ .Tools }}").render(
        TALK, tools=[tool]
    )
    assert text == (
        '[{"type":"function","function":{"name":"f","description":"d","parameters":'
        '{"type":"object","properties":{"n":{"type":"integer","minimum":1}},'
        '"additionalProperties":false},"strict":true}}]'
    )


def test_gaps_are_filled_by_a_template_that_knows_a_suffix() -> None:
    template = GoTemplate(
        "{{ if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>"
        "{{ else }}{{ .Prompt }}{{ end }}"
    )
    assert template.fill_in("def f(", "return x") == "<PRE> def f( <SUF>return x <MID>"
    assert template.render(as_messages("hello")) == "hello"
    with pytest.raises(TemplateError, match=r"knows no \.Suffix"):
        GoTemplate("{{ .Prompt }}").fill_in("a", "b")


@pytest.mark.parametrize(
    ("source", "cut"),
    [
        ("a{{ .Response }}b", 2),
        ("{{ if .x }}{{ .Response }}c{{ else }}d{{ end }}e", 1),
        ("{{ if .Response }}a{{ end }}b", 2),
        ("a{{ range .x }}b{{ end }}c", 3),
    ],
)
def test_what_stands_behind_the_answer_is_cut_off(source: str, cut: int) -> None:
    assert len(reading.cut_at_response(parse(source).root)) == cut


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        ("{{ if .ToolCalls }}[CALLS] [{{ end }}", "[CALLS] ["),
        ('{{ if .ToolCalls }}{"name": {{ end }}', "{"),
        ("{{ range .M }}{{ if .ToolCalls }}<a>{{ end }}{{ end }}", "<a>"),
        ("{{ if .ToolCalls }}{{ .x }}<a>{{ end }}", "{"),
        ("{{ .ToolCalls }}<a>", "{"),
    ],
)
def test_the_tag_of_calls_is_found_as_ollama_finds_it(source: str, tag: str) -> None:
    assert reading.call_tag(parse(source)) == tag
