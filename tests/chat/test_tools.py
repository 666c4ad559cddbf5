from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from localkit.chat.tools import Tool, ToolCall, as_tool_call, as_tools
from localkit.errors import UsageError


class Place(BaseModel):
    title: str
    lat: float


def get_weather(city: str, days: int = 1, unit: Literal["c", "f"] = "c") -> str:
    """Tell the weather.

    More about it.

    Args:
        city: Name of the city.
        days (int): How many days.

    Returns:
        A sentence: with a colon.
    """
    return f"{city} {days} {unit}"


def test_a_function_becomes_a_tool_by_its_signature_and_docstring() -> None:
    (tool,) = as_tools([get_weather])
    assert tool.as_dict() == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather.\n\nMore about it.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Name of the city."},
                    "days": {
                        "type": "integer",
                        "default": 1,
                        "description": "How many days.",
                    },
                    "unit": {"type": "string", "default": "c", "enum": ["c", "f"]},
                },
                "required": ["city"],
            },
        },
    }


def test_arguments_may_be_models_untyped_or_called_title() -> None:
    def find(place: Place, title: str, model_config: Any = None) -> None:
        """Find."""

    (tool,) = as_tools([find])
    assert set(tool.parameters["properties"]) == {"place", "title", "model_config"}
    assert set(tool.parameters["$defs"]["Place"]["properties"]) == {"title", "lat"}
    assert tool.parameters["required"] == ["place", "title"]


def test_a_tool_may_be_a_dict_of_the_openai_api_or_its_inner_part() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    inner = {"name": "f", "description": "d", "parameters": schema}
    tool = Tool("f", "d", schema)
    outer: dict[str, Any] = {"type": "function", "function": inner}
    assert as_tools([outer]) == as_tools([tool]) == (tool,)
    assert as_tools([inner]) == (tool,)
    assert as_tools([{"name": "g"}])[0].parameters == {
        "type": "object",
        "properties": {},
    }


@pytest.mark.parametrize(
    ("tools", "complaint"),
    [
        ([7], "a int is not a tool"),
        ([{"name": 7}], "a dict is not a tool"),
        ([{"name": "a b"}], "tool name is 'a b'"),
        ([{"name": "<|im_end|>"}], "tool name is"),
        ([{"name": "f"}, {"name": "f"}], "two tools are called 'f'"),
        ([{"name": "f", "parameters": {"type": "string"}}], "are of type 'string'"),
        (
            [{"name": "f", "parameters": {"type": "object", "x": {1}}}],
            "are no JSON",
        ),
        ([lambda *args: args], "tool name|no name to call it by"),
        ([print], "no name to call it by"),
    ],
)
def test_what_is_no_tool_is_refused(tools: list[Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        as_tools(tools)


def test_an_annotation_without_a_schema_is_refused() -> None:
    def f(x: object) -> None: ...

    f.__annotations__["x"] = get_weather
    with pytest.raises(UsageError, match="have no JSON Schema"):
        as_tools([f])


def test_calls_are_read_from_the_openai_api_and_written_for_it() -> None:
    call = ToolCall("f", {"ä": 1}, "abc")
    assert call.as_dict() == {
        "id": "abc",
        "type": "function",
        "function": {"name": "f", "arguments": '{"ä": 1}'},
    }
    assert as_tool_call(call.as_dict()) == call
    assert as_tool_call(call) is call
    assert as_tool_call({"name": "f", "arguments": {"ä": 1}, "id": "abc"}) == call


@pytest.mark.parametrize(
    "value",
    [
        7,
        {},
        {"name": "f", "arguments": "[1]"},
        {"name": "f", "arguments": "{"},
        {"name": "f", "arguments": "[" * 100_000},
        {"name": "f", "arguments": {"x": float("nan")}},
        {"name": "f", "arguments": {"x": "\ud800"}},
        {"name": "f", "arguments": {"x": {1}}},
    ],
)
def test_what_is_no_call_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        as_tool_call(value)


def test_L1_a_call_keeps_its_arguments_out_of_its_repr() -> None:
    assert "secret" not in repr(ToolCall("f", {"x": "secret"}))
