"""A JSON Schema in a few words: ``name, age int, tags list[str]``.

The dialect of simonw/llm: fields stand between commas or on lines, each a name, then
perhaps a type, then perhaps ``: what it means``. Lists are an addition.
"""

from __future__ import annotations

import re
from typing import Any

from localkit.errors import UsageError

_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_FIELD = re.compile(r"(?P<name>[^\W\d]\w*)(?:\s+(?P<type>\S.*?))?")
_LIST = re.compile(r"list(?:\[\s*(?P<item>.+?)\s*\])?")
_MAX_FIELDS = 100
_MAX_DEPTH = 4


def schema_of(text: str) -> dict[str, Any]:
    """Return the schema of an object with the fields that ``text`` lists, all needed.

    Raises:
        UsageError: a field cannot be read; names it.
    """
    separator = "\n" if "\n" in text.strip() else ","
    fields = [field.strip() for field in text.split(separator) if field.strip()]
    if not fields or len(fields) > _MAX_FIELDS:
        msg = f"the form has {len(fields)} fields"
        raise UsageError(msg, hint=f"give 1 to {_MAX_FIELDS}: name, age int")
    properties: dict[str, Any] = {}
    for field in fields:
        name, schema = _field(field)
        if name in properties:
            msg = f"two fields of the form are called {name!r}"
            raise UsageError(msg, hint="give each a name of its own")
        properties[name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field(text: str) -> tuple[str, dict[str, Any]]:
    head, colon, description = text.partition(":")
    match = _FIELD.fullmatch(head.strip())
    if match is None:
        raise _unreadable(text)
    schema = _type(match["type"] or "str", text)
    if colon and description.strip():
        schema["description"] = description.strip()
    return match["name"], schema


def _type(name: str, field: str, depth: int = 0) -> dict[str, Any]:
    if name in _TYPES:
        return {"type": _TYPES[name]}
    listed = _LIST.fullmatch(name)
    if listed is None or depth == _MAX_DEPTH:
        raise _unreadable(field)
    item = _type(listed["item"] or "str", field, depth + 1)
    return {"type": "array", "items": item}


def _unreadable(field: str) -> UsageError:
    msg = f"field {field[:60]!r} of the form cannot be read"
    hint = (
        "write NAME TYPE: MEANING, where TYPE is str, int, float, bool or list[…] "
        "and may be left out, as MEANING may"
    )
    return UsageError(msg, hint=hint)
