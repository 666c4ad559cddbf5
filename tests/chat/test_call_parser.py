from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localkit.chat.call_parser import parse_calls, parse_channel_calls
from localkit.chat.call_syntax import SYNTAXES, CallSyntax, detect_syntax
from localkit.chat.harmony import ChannelCall
from localkit.chat.tools import Tool, as_tools


def get_weather(city: str, days: int = 1) -> None:
    """Tell the weather."""


TOOLS = as_tools([get_weather, Tool("now")])
BY_NAME = {syntax.name: syntax for syntax in SYNTAXES}
_ARGUMENTS = '{"city": "Paris", "days": 3}'
_BAR = "\uff5c"  # full-width, as DeepSeek's control tokens have it
# One call as each family's own template writes it.
WRITTEN = {
    "hermes": '<tool_call>\n{"name": "get_weather", "arguments": %s}\n</tool_call>',
    "llama-3": '{"name": "get_weather", "parameters": %s}',
    "mistral": '[TOOL_CALLS][{"name": "get_weather", "arguments": %s, '
    '"id": "123456789"}]',
    "mistral-named": "[TOOL_CALLS]get_weather[ARGS]%s",
    "mistral-small-3.2": "[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]%s",
    "functionary": "<function=get_weather>%s</function>",
    "deepseek-v3": "<|tool▁calls▁begin|><|tool▁call▁begin|>function<|tool▁sep|>"
    "get_weather\n```json\n%s\n```<|tool▁call▁end|><|tool▁calls▁end|>".replace(
        "|", _BAR
    ),
    "deepseek-v3.1": "<|tool▁calls▁begin|><|tool▁call▁begin|>get_weather<|tool▁sep|>"
    "%s<|tool▁call▁end|><|tool▁calls▁end|>".replace("|", _BAR),
    "kimi-k2": "<|tool_calls_section_begin|>"
    "<|tool_call_begin|>functions.get_weather:0"
    "<|tool_call_argument_begin|>%s<|tool_call_end|><|tool_calls_section_end|>",
    "cohere": '<|START_ACTION|>[\n    {"tool_call_id": "0", '
    '"tool_name": "get_weather", "parameters": %s}\n]<|END_ACTION|>',
    "apertus": '<|tools_prefix|>[{"get_weather": %s}]<|tools_suffix|>',
    "gigachat": '<|function_call|>{"name": "get_weather", "arguments": %s}',
    "granite": '<|tool_call|>[{"name": "get_weather", "arguments": %s}]',
    "nemotron": '<TOOLCALL>[{"name": "get_weather", "arguments": %s}]</TOOLCALL>',
    "apriel": '<tool_calls>[{"name": "get_weather", "arguments": %s}]</tool_calls>',
    "minimax-m1": '<tool_calls>\n{"name": "get_weather", "arguments": %s}\n'
    "</tool_calls>",
    "lfm2": "<|tool_call_start|>[get_weather(city='Paris', days=3)]<|tool_call_end|>",
    "qwen3-coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n"
    "</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
    "seed-oss": "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris"
    "</parameter>\n<parameter=days>3</parameter>\n</function>\n</seed:tool_call>",
    "glm": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris"
    "</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
    "minimax-m2": '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter '
    'name="city">Paris</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n'
    "</minimax:tool_call>",
}
WRITTEN = {name: text.replace("%s", _ARGUMENTS) for name, text in WRITTEN.items()}
_CASES = [(BY_NAME[name], text) for name, text in WRITTEN.items()]
each_family = pytest.mark.parametrize(("syntax", "text"), _CASES, ids=WRITTEN.keys())


def test_every_family_is_tried() -> None:
    assert set(WRITTEN) | {"gpt-oss"} == set(BY_NAME)


@each_family
def test_a_family_is_found_by_what_its_template_writes(
    syntax: CallSyntax, text: str
) -> None:
    if syntax.bare:
        text += '{"name": , "parameters": } ipython'
    assert detect_syntax(text, ()) == syntax


def test_a_family_may_be_found_by_its_vocabulary() -> None:
    assert detect_syntax("{{ tools }}", ()) is None
    found = detect_syntax("{{ tools }}", ("<|tool_call_start|>",))
    assert found == BY_NAME["lfm2"]
    assert detect_syntax("]<]minimax[>[<tool_call>", ()) is None


@each_family
def test_a_call_is_read_as_the_family_writes_it(syntax: CallSyntax, text: str) -> None:
    parsed = parse_calls(text, syntax, TOOLS, salt="s")
    assert parsed.text == ""
    assert parsed.notes == ()
    (call,) = parsed.tool_calls
    assert call.name == "get_weather"
    assert call.arguments == {"city": "Paris", "days": 3}
    assert len(call.id) == 9
    assert call.id.isalnum()
    assert parse_calls(text, syntax, TOOLS, salt="s") == parsed
    assert parse_calls(text, syntax, TOOLS, salt="t").tool_calls[0].id != call.id


@each_family
def test_several_calls_and_the_text_around_them_are_kept(
    syntax: CallSyntax, text: str
) -> None:
    if syntax.bare:
        parsed = parse_calls(f"{text}; {text}", syntax, TOOLS)
        assert len(parsed.tool_calls) == 2
        return
    parsed = parse_calls(f"I look.\n\n{text}\n{text}\n", syntax, TOOLS)
    assert parsed.text == "I look."
    assert [call.name for call in parsed.tool_calls] == ["get_weather"] * 2
    assert len({call.id for call in parsed.tool_calls}) == 2


@each_family
def test_a_call_that_breaks_off_stays_text_and_is_noted(
    syntax: CallSyntax, text: str
) -> None:
    end = text.index("3") if syntax.name != "lfm2" else text.index("3)")
    broken = text[:end]
    parsed = parse_calls(broken, syntax, TOOLS)
    assert parsed.tool_calls == ()
    assert parsed.text == broken
    assert len(parsed.notes) == 1
    assert "could not be read" in parsed.notes[0]


@each_family
@given(data=st.data())
def test_whatever_a_model_writes_nothing_is_raised_and_nothing_lost(
    syntax: CallSyntax, text: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    noise = data.draw(st.text(alphabet='{}[]()<>"\\=:,x1 \n\ud800', max_size=12))
    damaged = text[:start] + noise + text[end:]
    parsed = parse_calls(damaged, syntax, TOOLS)
    if not parsed.tool_calls:
        assert parsed.text == damaged


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"name": "now", "arguments": ' + "9" * 5000 + "}",
        '{"name": "now", "arguments": {"x": NaN}}',
        '{"name": "now", "arguments": [1]}',
        '{"name": 7}',
        "7",
        "[]",
        "",
    ],
)
def test_a_body_that_is_no_call_stays_text(body: str) -> None:
    text = f"<tool_call>{body}</tool_call>"
    parsed = parse_calls(text, BY_NAME["hermes"], TOOLS)
    assert (parsed.text, parsed.tool_calls) == (text, ())
    assert len(parsed.notes) == 1
    assert len(parsed.notes[0]) < 200


@pytest.mark.parametrize(
    "code",
    ["now(1)", "now(**x)", "now(x=y)", "now(x=now())", "now", "(" * 999, "now(x=1j)"],
)
def test_python_that_is_no_plain_call_stays_text(code: str) -> None:
    text = f"<|tool_call_start|>[{code}]<|tool_call_end|>"
    parsed = parse_calls(text, BY_NAME["lfm2"], TOOLS)
    assert parsed.tool_calls == ()
    assert parsed.text == text


def test_python_calls_take_the_constants_of_json_too() -> None:
    text = "<|tool_call_start|>[now(a=true, b=None, c=-1.5, d=['x', {'y': 'z'}])]"
    (call,) = parse_calls(text, BY_NAME["lfm2"], TOOLS).tool_calls
    assert call.arguments == {"a": True, "b": None, "c": -1.5, "d": ["x", {"y": "z"}]}


def test_a_tool_that_was_not_given_is_kept_and_noted() -> None:
    text = WRITTEN["hermes"].replace("get_weather", "rm")
    parsed = parse_calls(text, BY_NAME["hermes"], TOOLS)
    assert parsed.tool_calls[0].name == "rm"
    assert parsed.notes == ("the model called 'rm', which is not a tool",)


def test_a_call_without_arguments_has_none() -> None:
    for body in ('{"name": "now"}', '{"name": "now", "arguments": ""}'):
        text = f"<tool_call>{body}</tool_call>"
        (call,) = parse_calls(text, BY_NAME["hermes"], TOOLS).tool_calls
        assert call.arguments == {}


def test_json_that_is_an_answer_is_no_call() -> None:
    text = '{"city": "Paris"}'
    assert parse_calls(text, BY_NAME["llama-3"], TOOLS) == (text, (), ())


def test_plain_arguments_are_read_as_their_schema_wants_them() -> None:
    text = WRITTEN["qwen3-coder"].replace("Paris", "75001").replace("3\n", "three\n")
    (call,) = parse_calls(text, BY_NAME["qwen3-coder"], TOOLS).tool_calls
    assert call.arguments == {"city": "75001", "days": "three"}


def test_R7_half_a_surrogate_pair_in_an_argument_becomes_u_fffd() -> None:
    text = r'<tool_call>{"name": "now", "arguments": {"x": "\ud800"}}</tool_call>'
    (call,) = parse_calls(text, BY_NAME["hermes"], TOOLS).tool_calls
    assert call.arguments == {"x": "?"} or call.arguments == {"x": "\ufffd"}
    assert json.dumps(call.as_dict()).encode()


def test_calls_in_channels_are_read_the_same_way() -> None:
    written = [ChannelCall("get_weather", _ARGUMENTS), ChannelCall("now", "[")]
    parsed = parse_channel_calls(written, TOOLS)
    assert [call.name for call in parsed.tool_calls] == ["get_weather"]
    assert parsed.text == "["
    assert len(parsed.notes) == 1
