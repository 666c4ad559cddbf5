"""What a person writes for a structure, as a `Structure`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from localkit.errors import GrammarInvalid
from localkit.runtime.params import Structure

# Flags that mean the same in llguidance's syntax, Rust's.
_FLAGS = {
    re.IGNORECASE: "i",
    re.MULTILINE: "m",
    re.DOTALL: "s",
    re.VERBOSE: "x",
}


def as_structure(value: object) -> Structure:
    """Return the structure that a Python value stands for.

    A `Structure` is returned as it is, ``"json"`` is any JSON object, a mapping is
    a JSON Schema, a pydantic model class is its schema, a list or tuple of texts is
    a choice, a compiled pattern is a regular expression.

    Raises:
        GrammarInvalid: the value stands for none, or has a form JSON cannot hold.
    """
    if isinstance(value, Structure):
        return value
    if value == "json":
        return Structure("json")
    if isinstance(value, re.Pattern):
        return Structure("regex", _pattern(value))
    if isinstance(value, Mapping):
        return Structure("json_schema", _as_json(dict(value)))
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        return Structure("json_schema", _as_json(value.model_json_schema()))
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return Structure("choice", _as_json(value))
    shown = repr(value)
    msg = f"{shown[:60]}{'…' if len(shown) > 60 else ''} is no form of an answer"
    hint = (
        'give a JSON Schema, a pydantic model, a list of texts, re.compile(…) or "json"'
    )
    raise GrammarInvalid(msg, hint=hint)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"the structure is not JSON: {error}"
        raise GrammarInvalid(msg, hint="use only what JSON can hold") from error


def _pattern(pattern: re.Pattern[Any]) -> str:
    if not isinstance(pattern.pattern, str):
        msg = f"the pattern {pattern.pattern!r} is of bytes"
        raise GrammarInvalid(msg, hint="compile it from a str")
    if pattern.flags & (re.ASCII | re.LOCALE):
        msg = f"the pattern {pattern.pattern!r} has the flag ASCII"
        raise GrammarInvalid(msg, hint=r"write [0-9] for \d, [A-Za-z0-9_] for \w")
    flags = "".join(mark for flag, mark in _FLAGS.items() if pattern.flags & flag)
    return f"(?{flags}){pattern.pattern}" if flags else pattern.pattern
