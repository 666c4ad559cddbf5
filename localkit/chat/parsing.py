"""An answer of a fixed form as the value it stands for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.render.text import one_line

if TYPE_CHECKING:
    from localkit.runtime.params import Structure

_JSON = ("json", "json_schema")
_MAX_REASON = 200


class Parsed(NamedTuple):
    """A value, or why there is none."""

    value: Any
    error: str = ""
    """Empty where the text fits."""


def parse(text: str, structure: Structure | None, form: Any = None) -> Parsed:
    """Return what ``text`` stands for; never raises.

    JSON becomes the value it spells, or an instance of ``form``; a choice, or what a
    regular expression or grammar allows, stays the text.

    Args:
        text: A whole answer.
        structure: The form it was asked in.
        form: Pydantic class that the structure was made of.
    """
    if structure is None:
        return Parsed(None, "no form was asked for, so nothing was read")
    if structure.kind not in _JSON:
        return Parsed(text)
    if form is not None:
        return _instance(text, form)
    return parse_json(text)


def parse_json(text: str) -> Parsed:
    """Return the value that ``text`` spells in JSON."""
    try:
        return Parsed(json.loads(text))
    except (ValueError, RecursionError) as error:
        return Parsed(None, f"it is not JSON: {_short(error)}")


def class_of(value: object) -> Any:
    """Return ``value`` if it is a pydantic class, which answers can be read into."""
    is_form = isinstance(value, type) and hasattr(value, "model_validate_json")
    return value if is_form else None


def _instance(text: str, form: Any) -> Parsed:
    try:
        return Parsed(form.model_validate_json(text))
    except Exception as error:  # validators are the user's own code
        return Parsed(None, f"it is no {form.__name__}: {_short(error)}")


def _short(error: BaseException) -> str:
    return one_line(str(error), limit=_MAX_REASON)
