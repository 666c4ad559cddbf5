"""Forced calls: the grammar takes what the family writes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import llguidance
import pytest
from pydantic import BaseModel

from localkit.chat.call_parser import parse_calls
from localkit.chat.call_syntax import SYNTAXES, CallSyntax
from localkit.chat.forcing import force_call
from localkit.chat.tools import as_tools
from localkit.errors import UsageError

if TYPE_CHECKING:
    from localkit.runtime.params import Structure


class Place(BaseModel):
    lat: float


def get_weather(
    city: str,
    days: int = 1,
    unit: Literal["c", "f"] = "c",
    place: Place | None = None,
) -> None:
    """Tell the weather."""


def now() -> None:
    """Tell the time."""


def find(place: Place | None = None, title: str = "") -> None:
    """Find."""


TOOLS = as_tools([get_weather, now, find])
BY_NAME = {syntax.name: syntax for syntax in SYNTAXES}
# What a model may add to the head of a call of get_weather, and of now.
REST = {
    "json": (
        '{"NAME": "get_weather", "KEY": {"city": "Paris"}}',
        '{"NAME": "now", "KEY": {}}',
    ),
    "arguments": ('{"city": "Paris", "place": {"lat": 1.5}}', "{}"),
    "qwen3-coder": (
        "<parameter=city>\nPa\nris <b>\n</parameter>\n"
        "<parameter=unit>\nf\n</parameter>\n"
        '<parameter=place>\n{"lat": 1}\n</parameter>\n</function>',
        "</function>",
    ),
    "seed-oss": ("<parameter=city>Paris</parameter>\n</function>", "</function>"),
    "glm": (
        "<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
        "</tool_call>",
    ),
    "minimax-m2": ('<parameter name="city">Paris</parameter>\n</invoke>', "</invoke>"),
    "python": ('city="Paris", unit="f")]', ")]"),
}
each_family = pytest.mark.parametrize("syntax", SYNTAXES, ids=BY_NAME.keys())
each_parsed_family = pytest.mark.parametrize(
    "syntax",
    [syntax for syntax in SYNTAXES if syntax.body != "channel"],
    ids=[name for name in BY_NAME if name != "gpt-oss"],
)


def _accepts(structure: Structure, text: str) -> bool:
    """Return whether ``text`` is one whole answer of that form."""
    matcher = llguidance.LLMatcher
    grammar = (
        matcher.grammar_from_json_schema(structure.text)
        if structure.kind == "json_schema"
        else matcher.grammar_from_lark(structure.text)
    )
    state = matcher(llguidance.LLTokenizer("byte"), grammar)
    assert not state.get_error(), state.get_error()
    tokens = list(text.encode())
    return state.try_consume_tokens(tokens) == len(tokens) and state.is_accepting()


def _rest(syntax: CallSyntax, index: int) -> str:
    kind = "arguments" if syntax.body == "channel" else syntax.body
    text = REST[syntax.name if syntax.body == "tags" else kind][index]
    if syntax.named_by_key:
        text = ('{"get_weather": {"city": "Paris"}}', '{"now": {}}')[index]
    text = text.replace("NAME", syntax.keys[0]).replace("KEY", syntax.keys[1])
    return f"[{text}]" if syntax.listed else text


@each_family
def test_one_tool_is_forced_and_nothing_else_is_taken(syntax: CallSyntax) -> None:
    for index in (0, 1):
        forced = force_call(syntax, TOOLS[index : index + 1], ())
        rest = _rest(syntax, index)
        assert _accepts(forced.structure, rest)
        assert not _accepts(forced.structure, rest[:-1])
        assert not _accepts(forced.structure, "Certainly! " + rest)
        assert not _accepts(forced.structure, rest.replace("city", "town") + "x")


@each_family
def test_a_required_argument_is_required_and_no_other_can_be_made_up(
    syntax: CallSyntax,
) -> None:
    if syntax.body in ("tags", "python"):
        empty = syntax.closes
        invented = empty
    else:
        empty = _rest(syntax, 0).replace('"city": "Paris"', "").replace("{, ", "{")
        invented = _rest(syntax, 1).replace("{}", '{"x": 1}')
        (of_now,) = TOOLS[1:2]
        assert not _accepts(force_call(syntax, [of_now], ()).structure, invented)
    assert not _accepts(force_call(syntax, TOOLS[:1], ()).structure, empty)


@each_parsed_family
def test_what_was_forced_is_read_as_one_call(syntax: CallSyntax) -> None:
    forced = force_call(syntax, TOOLS[:1], ())
    parsed = parse_calls(forced.prefill + _rest(syntax, 0), syntax, TOOLS)
    assert [call.name for call in parsed.tool_calls] == ["get_weather"]
    assert parsed.tool_calls[0].arguments["city"].startswith("Pa")
    assert (parsed.text, parsed.notes) == ("", ())


@each_family
def test_one_of_several_tools_is_chosen_by_the_model(syntax: CallSyntax) -> None:
    forced = force_call(syntax, TOOLS, ())
    behind = "" if syntax.body == "json" else syntax.opens.partition("{name}")[2]
    name = "" if syntax.body == "json" else "get_weather"
    assert _accepts(forced.structure, name + behind + _rest(syntax, 0))
    other = "" if syntax.body == "json" else "now"
    assert _accepts(forced.structure, other + behind + _rest(syntax, 1))
    assert not _accepts(forced.structure, "rm" + behind + _rest(syntax, 1))


def test_a_choice_that_needs_a_control_token_behind_the_name_is_refused() -> None:
    syntax = BY_NAME["mistral-named"]
    with pytest.raises(UsageError, match="which of 3 tools") as caught:
        force_call(syntax, TOOLS, ("[ARGS]",))
    assert "tool_choice='get_weather'" in caught.value.hint
    assert force_call(syntax, TOOLS[:1], ("[ARGS]",)).prefill.endswith("[ARGS]")


def test_arguments_without_a_required_one_need_no_separator() -> None:
    structure = force_call(BY_NAME["lfm2"], TOOLS[2:], ()).structure
    for text in (")]", 'title="a")]', "place=null)]", 'place=null, title="a")]'):
        assert _accepts(structure, text)
    assert not _accepts(structure, ', title="a")]')
