"""A tool call that must come: what begins it, and the form of the rest.

The head of the call is written into the prompt, where control tokens are possible;
the structure constrains what the model adds to it: one whole call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.errors import UsageError
from localkit.runtime.params import Structure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from localkit.chat.call_syntax import CallSyntax
    from localkit.chat.tools import Tool


class Forced(NamedTuple):
    """A call that has begun."""

    prefill: str
    """What the template's text is continued with, control tokens spelled out."""
    structure: Structure


def force_call(
    syntax: CallSyntax, tools: Sequence[Tool], control_tokens: Collection[str]
) -> Forced:
    """Return what makes a model call one of ``tools``, in its own way of writing.

    Args:
        syntax: How the model writes calls.
        tools: Those it may choose from.
        control_tokens: Texts that no structure can produce.

    Raises:
        UsageError: there are several tools, and control tokens stand behind the
            name: then the name has to be chosen before.
    """
    if syntax.body == "json":
        return Forced(syntax.opens, _json_schema(_calls_schema(syntax, tools)))
    head, _, behind = syntax.opens.partition("{name}")
    if len(tools) == 1:
        prefill = head + tools[0].name + behind
        if syntax.body in ("arguments", "channel"):
            return Forced(prefill, _json_schema(_closed(tools[0].parameters)))
        return Forced(prefill, Structure("lark", _Lark(syntax).grammar(tools, None)))
    if any(control in behind for control in control_tokens):
        msg = f"which of {len(tools)} tools to call cannot be left to this model"
        hint = f"name one: tool_choice='{tools[0].name}'"
        raise UsageError(msg, hint=hint)
    return Forced(head, Structure("lark", _Lark(syntax).grammar(tools, behind)))


def _json_schema(schema: Mapping[str, Any]) -> Structure:
    return Structure("json_schema", json.dumps(schema, ensure_ascii=False))


def _calls_schema(syntax: CallSyntax, tools: Sequence[Tool]) -> dict[str, Any]:
    """Return the schema of one call, definitions of all tools at its root."""
    definitions: dict[str, Any] = {}
    choices = []
    for index, tool in enumerate(tools):
        arguments = _hoisted(_closed(tool.parameters), f"tool{index}.", definitions)
        if syntax.named_by_key:
            choices.append(_object({tool.name: arguments}))
        else:
            name_key, arguments_key = syntax.keys
            call = {name_key: {"const": tool.name}, arguments_key: arguments}
            choices.append(_object(call))
    schema: dict[str, Any] = choices[0] if len(choices) == 1 else {"anyOf": choices}
    if syntax.listed:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": 1}
    return schema | ({"$defs": definitions} if definitions else {})


def _closed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool's parameters such that no others can be made up."""
    return {"additionalProperties": False, **parameters}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _hoisted(
    schema: Mapping[str, Any], prefix: str, definitions: dict[str, Any]
) -> dict[str, Any]:
    """Return ``schema`` less its definitions, which go under ``prefix``."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: _reference(item, prefix) if key == "$ref" else moved(item)
                for key, item in value.items()
            }
        return [moved(item) for item in value] if isinstance(value, list) else value

    for key in ("$defs", "definitions"):
        for name, definition in schema.get(key, {}).items():
            definitions[prefix + name] = moved(definition)
    kept = {k: v for k, v in schema.items() if k not in ("$defs", "definitions")}
    result: dict[str, Any] = moved(kept)
    return result


def _reference(target: Any, prefix: str) -> Any:
    for root in ("#/$defs/", "#/definitions/"):
        if isinstance(target, str) and target.startswith(root):
            return f"#/$defs/{prefix}{target[len(root) :]}"
    return target


class _Lark:
    """The grammar of calls whose arguments are written one by one."""

    def __init__(self, syntax: CallSyntax) -> None:
        self._syntax = syntax
        self._rules: list[str] = []

    def grammar(self, tools: Sequence[Tool], behind_name: str | None) -> str:
        """Return the grammar of one call; ``behind_name`` None: the name stands."""
        calls = []
        for tool in tools:
            head = [] if behind_name is None else [_quoted(tool.name + behind_name)]
            calls.append(self._rule([*head, self._body(tool), self._closing()]))
        return "\n".join([f"start: {' | '.join(calls)}", *self._rules])

    def _body(self, tool: Tool) -> str:
        if self._syntax.body in ("arguments", "channel"):
            return self._json(_closed(tool.parameters))
        properties: Mapping[str, Any] = tool.parameters.get("properties", {})
        required = [key for key in properties if key in _required(tool)]
        optional = [key for key in properties if key not in required]
        definitions = {
            key: tool.parameters[key]
            for key in ("$defs", "definitions")
            if key in tool.parameters
        }
        written = {
            key: self._argument(key, properties[key], definitions) for key in properties
        }
        if self._syntax.body == "tags":
            parts = [written[key] for key in required]
            parts += [f"{written[key]}?" for key in optional]
            return " ".join(parts)
        return self._separated(
            [written[key] for key in required], [written[key] for key in optional]
        )

    def _separated(self, required: list[str], optional: list[str]) -> str:
        """Return arguments with a separator between any two that are there."""
        comma = _quoted(self._syntax.argument[1])
        rest = [f"({comma} {rule})?" for rule in optional]
        if required:
            return " ".join([f" {comma} ".join(required), *rest])
        # The first that is there has no separator before it.
        heads = [
            " ".join([rule, *rest[index + 1 :]]) for index, rule in enumerate(optional)
        ]
        return f"({' | '.join(heads)})?" if heads else ""

    def _argument(self, key: str, schema: Any, definitions: Mapping[str, Any]) -> str:
        before, behind = self._syntax.argument
        opening = _quoted(before.replace("{key}", key))
        schema = {**schema, **definitions} if isinstance(schema, dict) else {}
        if self._syntax.body == "python":
            return self._rule([opening, self._json(schema)])
        if schema.get("type") == "string" and "enum" not in schema:
            text = self._rule(["/(?s:.*)/"], suffix=behind)
            return self._rule([opening, text])
        if schema.get("type") == "string":
            words = " | ".join(_quoted(str(word)) for word in schema["enum"])
            return self._rule([opening, f"({words})", _quoted(behind)])
        return self._rule([opening, self._json(schema), _quoted(behind)])

    def _closing(self) -> str:
        return _quoted(self._syntax.closes) if self._syntax.closes else ""

    def _json(self, schema: Mapping[str, Any]) -> str:
        return self._rule([f"%json {json.dumps(schema)}"])

    def _rule(self, parts: Sequence[str], *, suffix: str = "") -> str:
        name = f"r{len(self._rules)}"
        attributes = f"[suffix={_quoted(suffix)}]" if suffix else ""
        self._rules.append(f"{name}{attributes}: {' '.join(filter(None, parts))}")
        return name


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _required(tool: Tool) -> Sequence[str]:
    required: Sequence[str] = tool.parameters.get("required", ())
    return required
