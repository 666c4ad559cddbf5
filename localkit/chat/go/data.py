"""A conversation and tools as Ollama hands them to a template.

The names are those of ``template/template.go`` and ``api/types.go``. Printed, a
tool, a function, its parameters and the arguments of a call are JSON: so they were
when the templates were written (Ollama 0.14 lost it for two of them: issue 14601).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.chat.go.as_json import to_json
from localkit.chat.go.printing import shown
from localkit.chat.go.values import NIL, Map, Slice, Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localkit.chat.go.turns import Turn
    from localkit.chat.tools import ToolCall

_EXACT = 1 << 53


def from_json(value: Any) -> Any:
    """Return a JSON value as Go decodes it: every number a float.

    An int that a float cannot hold stays one, so that no digit is lost.
    """
    if value is None:
        return NIL
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value) if -_EXACT <= value <= _EXACT else value
    if isinstance(value, dict):
        return Map({str(key): from_json(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Slice([from_json(item) for item in value])
    return value


def messages_value(turns: Sequence[Turn]) -> Slice:
    """Return ``.Messages``."""
    return Slice([_message(turn) for turn in turns], type_name="[]*templateMessage")


def tools_value(tools: Sequence[Mapping[str, Any]]) -> Slice:
    """Return ``.Tools``."""
    items = [_tool(tool) for tool in tools]
    return Slice(items, type_name="templateTools", text=to_json, is_nil=not items)


def _message(turn: Turn) -> Struct:
    calls = [_call(call, at) for at, call in enumerate(turn.tool_calls)]
    return Struct(
        "*templateMessage",
        {
            "Role": turn.role,
            "Content": turn.content,
            "Thinking": turn.thinking,
            "Images": Slice([], type_name="[]ImageData", is_nil=True),
            "ToolCalls": Slice(calls, type_name="[]templateToolCall", is_nil=not calls),
            "ToolName": turn.tool_name,
            "ToolCallID": turn.tool_call_id,
        },
        is_pointer=True,
    )


def _call(call: ToolCall, at: int) -> Struct:
    given = {key: from_json(value) for key, value in call.arguments.items()}
    arguments = Map(given, type_name="templateArgs", text=to_json)
    function = Struct(
        "templateToolCallFunction",
        {"Index": at, "Name": call.name, "Arguments": arguments},
    )
    return Struct("templateToolCall", {"ID": call.id, "Function": function})


def _tool(tool: Mapping[str, Any]) -> Struct:
    function = dict(tool.get("function") or {})
    parameters = dict(function.pop("parameters", None) or {})
    properties = parameters.pop("properties", None)
    shape = Struct(
        "templateToolFunctionParameters",
        {
            "Type": _name(parameters.pop("type", "")),
            "Defs": from_json(parameters.pop("$defs", None)),
            "Items": from_json(parameters.pop("items", None)),
            "Required": _texts(parameters.pop("required", None)),
            "Properties": _properties(properties, text=True),
        },
        text=to_json,
        json=(
            ("Type", "type", False),
            ("Defs", "$defs", True),
            ("Items", "items", True),
            ("Required", "required", True),
            ("Properties", "properties", False),
        ),
        extra={key: from_json(item) for key, item in parameters.items()},
    )
    fields = {
        "Name": _name(function.pop("name", "")),
        "Description": _name(function.pop("description", "")),
        "Parameters": shape,
    }
    described = Struct(
        "templateToolFunction",
        fields,
        text=to_json,
        json=tuple((name, name.lower(), False) for name in fields),
        extra={key: from_json(item) for key, item in function.items()},
    )
    rest = {key: item for key, item in tool.items() if key not in _TOOL_KEYS}
    return Struct(
        "templateTool",
        {
            "Type": _name(tool.get("type", "")),
            "Items": from_json(tool.get("items")),
            "Function": described,
        },
        text=to_json,
        json=(
            ("Type", "type", False),
            ("Items", "items", True),
            ("Function", "function", False),
        ),
        extra={key: from_json(item) for key, item in rest.items()},
    )


_TOOL_KEYS = ("type", "items", "function")
_PROPERTY_KEYS = (
    ("AnyOf", "anyOf", True),
    ("Type", "type", True),
    ("Items", "items", True),
    ("Description", "description", True),
    ("Enum", "enum", True),
    ("Properties", "properties", True),
    ("Required", "required", True),
)


def _properties(value: Any, *, text: bool) -> Map:
    given = value if isinstance(value, dict) else {}
    return Map(
        {str(name): _property(one) for name, one in given.items()},
        type_name="templateProperties" if text else "*ToolPropertiesMap",
        zero=_property({}),
        text=_properties_text if text else None,
        is_nil=value is None,
        ordered=not text,
    )


def _properties_text(value: Map) -> str:
    return "{}" if value.is_nil else to_json(value)


def _property(value: Any) -> Struct:
    given = dict(value) if isinstance(value, dict) else {}
    kinds = given.pop("type", None)
    kinds = [kinds] if isinstance(kinds, str) else kinds
    any_of = given.pop("anyOf", None)
    nested = given.pop("properties", None)
    return Struct(
        "api.ToolProperty",
        {
            "AnyOf": Slice(
                [_property(one) for one in _list(any_of)],
                type_name="[]api.ToolProperty",
                is_nil=any_of is None,
            ),
            "Type": Slice(
                [str(one) for one in _list(kinds)],
                type_name="api.PropertyType",
                text=_kinds_text,
                to_json=_kinds_json,
            ),
            "Items": from_json(given.pop("items", None)),
            "Description": _name(given.pop("description", "")),
            "Enum": Slice([from_json(one) for one in _list(given.pop("enum", None))]),
            "Properties": (NIL if nested is None else _properties(nested, text=False)),
            "Required": _texts(given.pop("required", None)),
        },
        methods={"ToTypeScriptType": typescript_type},
        json=_PROPERTY_KEYS,
        extra={key: from_json(item) for key, item in given.items()},
    )


def _kinds_text(value: Slice) -> str:
    items = value.items()
    if len(items) == 1:
        return str(items[0])
    return shown(Slice(items)) if items else ""


def _kinds_json(value: Slice) -> Any:
    items = value.items()
    return items[0] if len(items) == 1 else Slice(items)


_TYPESCRIPT = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


def typescript_type(value: Struct) -> str:
    """Return a property's type as TypeScript writes it."""
    any_of = value.of["AnyOf"].items()
    if any_of:
        return " | ".join(map(typescript_type, any_of))
    kinds = value.of["Type"].items()
    return " | ".join(_TYPESCRIPT.get(kind, "any") for kind in kinds) or "any"


def _texts(value: Any) -> Slice:
    items = [str(one) for one in _list(value)]
    return Slice(items, type_name="[]string", is_nil=not items)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""
