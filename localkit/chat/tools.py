"""Tools that a model may call, and the calls it makes."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from localkit.errors import UsageError

# As the OpenAI API has it; templates and grammars spell the name out unquoted.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ARGUMENT_LINE = re.compile(r"\s+\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.+)")
_SECTION = re.compile(r"(Args|Arguments|Parameters|Returns|Raises|Yields|Example)s?:")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may ask for.

    Raises:
        UsageError: the name or the schema cannot be written into a prompt.
    """

    name: str
    description: str = field(default="", repr=False)
    parameters: Mapping[str, Any] = field(
        default_factory=lambda: {"type": "object", "properties": {}}, repr=False
    )
    """JSON Schema of the arguments, an object."""

    def __post_init__(self) -> None:
        """Refuse what templates, grammars and parsers could not agree on."""
        if not _NAME.fullmatch(self.name):
            msg = f"tool name is {self.name[:80]!r}"
            raise UsageError(msg, hint="use letters, digits, _ . and -, at most 64")
        if self.parameters.get("type") != "object":
            found = self.parameters.get("type")
            msg = f"the parameters of tool '{self.name}' are of type {found!r}"
            raise UsageError(msg, hint='pass {"type": "object", "properties": {…}}')
        try:
            json.dumps([self.description, self.parameters], allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = f"the parameters of tool '{self.name}' are no JSON: {error}"
            raise UsageError(msg, hint="pass a JSON Schema as a dict") from error

    def as_dict(self) -> dict[str, Any]:
        """Return the tool as the OpenAI API and chat templates write it."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model made; nothing has run it, and nothing has checked it."""

    name: str
    arguments: Mapping[str, Any] = field(repr=False)
    """Left out of the repr, as all text of a model is."""
    id: str = ""
    """Nine letters and digits, as the strictest template wants them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be written into a prompt or an answer of the API."""
        try:
            self.as_json().encode()
        except (TypeError, ValueError, RecursionError) as error:
            msg = f"the arguments of a call of '{self.name[:64]}' are no JSON: {error}"
            raise UsageError(
                msg, hint="pass texts, numbers, lists and dicts"
            ) from error

    def as_json(self) -> str:
        """Return name and arguments as JSON, the form most models write."""
        call = {"name": self.name, "arguments": self.arguments}
        return json.dumps(call, ensure_ascii=False, allow_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the call as the OpenAI API writes it, arguments as JSON."""
        arguments = json.dumps(self.arguments, ensure_ascii=False)
        function = {"name": self.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


ToolLike = Tool | Callable[..., object] | Mapping[str, Any]
"""A tool, a Python function, or a dict as the OpenAI API has it."""


def as_tools(values: Iterable[ToolLike]) -> tuple[Tool, ...]:
    """Return ``values`` as tools.

    Raises:
        UsageError: a value is not a tool, or two tools have one name.
    """
    tools = tuple(_as_tool(value) for value in values)
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"two tools are called '{twice}'"
        raise UsageError(msg, hint="give each tool a name of its own")
    return tools


def as_tool_call(value: object) -> ToolCall:
    """Return a call from a `ToolCall` or a dict as the OpenAI API has it.

    Raises:
        UsageError: it is neither, or its arguments are no JSON object.
    """
    if isinstance(value, ToolCall):
        return value
    outer = value if isinstance(value, Mapping) else {}
    function = outer.get("function", outer)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        msg = f"a {type(value).__name__} is not a tool call"
        raise UsageError(msg, hint='pass {"function": {"name": …, "arguments": …}}')
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
    if not isinstance(arguments, Mapping):
        msg = f"the arguments of a call of '{name[:64]}' are no JSON object"
        raise UsageError(msg, hint='pass a dict, or its JSON such as "{}"')
    return ToolCall(name, arguments, str(outer.get("id", "")))


def tool_from_function(function: Callable[..., object]) -> Tool:
    """Return a tool from a function's name, docstring and annotations.

    Descriptions of arguments are read from the docstring's ``Args:`` section.

    Raises:
        UsageError: an argument cannot be given by name, or its annotation has no
            JSON Schema.
    """
    name, about, model = _arguments_model(function)
    return Tool(name, about, cast("Mapping[str, Any]", _untitled(model.schema)))


def keyword_arguments(
    function: Callable[..., object], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what to call ``function`` with, converted as its annotations say.

    Raises:
        UsageError: an argument is missing, unknown, or not what it is annotated as;
            names each.
    """
    from pydantic import ValidationError

    name, _, model = _arguments_model(function)
    unknown = [one for one in arguments if one not in model.names]
    if unknown:
        msg = f"'{name}' has no argument {', '.join(map(repr, unknown))[:200]}"
        raise UsageError(msg, hint=f"it takes {', '.join(model.names) or 'none'}")
    try:
        value = model.made.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        ]
        msg = f"the arguments of '{name}' do not fit: {'; '.join(wrong)[:500]}"
        raise UsageError(msg, hint="see its schema") from error
    fields = zip(model.names, type(value).model_fields, strict=True)
    return {
        called: getattr(value, field)
        for called, field in fields
        if field in value.model_fields_set
    }


class _ArgumentsModel(NamedTuple):
    """The arguments of a function as a pydantic model."""

    made: Any
    names: tuple[str, ...]
    """As the function calls them, in the order of the fields."""
    schema: dict[str, Any]


def _arguments_model(
    function: Callable[..., object],
) -> tuple[str, str, _ArgumentsModel]:
    """Return name, description and arguments of a function."""
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    name = getattr(function, "__name__", type(function).__name__)
    signature = inspect.signature(function, eval_str=True)
    about, notes = _read_docstring(inspect.getdoc(function) or "")
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind not in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            msg = f"argument '{parameter.name}' of '{name}' has no name to call it by"
            raise UsageError(msg, hint="use plain arguments: no *args, **kwargs or /")
        empty = parameter.empty
        kind = Any if parameter.annotation is empty else parameter.annotation
        default = ... if parameter.default is empty else parameter.default
        note = notes.get(parameter.name)
        # An alias may be any name; pydantic keeps some field names for itself.
        described = Field(default, alias=parameter.name, description=note)
        fields[f"a{len(fields)}"] = (kind, described)
    try:
        config = ConfigDict(arbitrary_types_allowed=False)
        model = create_model(name, __config__=config, **fields)
        schema = model.model_json_schema()
    except (PydanticUserError, TypeError, NameError) as error:
        reason = str(error).splitlines()[0]
        msg = f"the arguments of '{name}' have no JSON Schema: {reason}"
        hint = "annotate them with str, int, list[…], Literal or a pydantic model"
        raise UsageError(msg, hint=hint) from error
    return name, about, _ArgumentsModel(model, tuple(signature.parameters), schema)


def _as_tool(value: ToolLike) -> Tool:
    if isinstance(value, Tool):
        return value
    if isinstance(value, Mapping):
        function = value.get("function", value)
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            return Tool(
                function["name"],
                str(function.get("description") or ""),
                function.get("parameters") or {"type": "object", "properties": {}},
            )
    elif callable(value):
        return tool_from_function(value)
    msg = f"a {type(value).__name__} is not a tool"
    raise UsageError(msg, hint="pass a function, a Tool, or an OpenAI tool dict")


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first section, and a line per argument."""
    about: list[str] = []
    notes: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if found := _SECTION.fullmatch(line.strip()):
            section = found[1]
        elif not section:
            about.append(line)
        elif section.startswith(("Arg", "Param")) and (
            described := _ARGUMENT_LINE.fullmatch(line)
        ):
            notes[described[1]] = described[2].strip()
    return "\n".join(about).strip(), notes


def _untitled(schema: object, *, named: bool = False) -> object:
    """Return a schema without the titles that pydantic makes of the names.

    ``named`` says that the keys are names of properties, where ``title`` is one.
    """
    if isinstance(schema, dict):
        return {
            key: _untitled(value, named=key in ("properties", "$defs") and not named)
            for key, value in schema.items()
            if named or key != "title"
        }
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    return schema
