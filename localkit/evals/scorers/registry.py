"""Scorers by the type name that a task file gives them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from localkit.errors import DatasetInvalid, LocalkitError

if TYPE_CHECKING:
    from localkit.evals.scorers.protocol import Scorer

# Modules are named, not imported: a task loads the scorers that it uses.
_TYPES: Mapping[str, str] = {
    "exact": "localkit.evals.scorers.exact:Exact",
    "includes": "localkit.evals.scorers.includes:Includes",
    "regex": "localkit.evals.scorers.pattern:Regex",
    "numeric": "localkit.evals.scorers.numeric:Numeric",
    "choice": "localkit.evals.scorers.choice:Choice",
    "f1": "localkit.evals.scorers.f1:F1",
    "chrf": "localkit.evals.scorers.translation:Chrf",
    "bleu": "localkit.evals.scorers.translation:Bleu",
    "ter": "localkit.evals.scorers.translation:Ter",
    "rouge": "localkit.evals.scorers.rouge:Rouge",
    "json": "localkit.evals.scorers.json_answer:Json",
    "tool_call": "localkit.evals.scorers.tool_call:ToolCalls",
    "instructions": "localkit.evals.scorers.instructions:Instructions",
    "length": "localkit.evals.scorers.length:Length",
    "code": "localkit.evals.scorers.code:Code",
    "judge": "localkit.evals.scorers.judge:Judge",
    "similarity": "localkit.evals.scorers.similarity:Similarity",
}


def scorer_types() -> list[str]:
    """Return the type names of all scorers."""
    return sorted(_TYPES)


def scorer_class(name: str) -> type:
    """Return the class behind a type name; imports it."""
    module, _, attribute = _TYPES[name].partition(":")
    found: type = getattr(importlib.import_module(module), attribute)
    return found


def scorer_options(name: str) -> list[str]:
    """Return the names of the options that scorers of a type have."""
    kind: Any = scorer_class(name)
    return [field.name for field in fields(kind) if field.init]


def make_scorer(table: Mapping[str, Any]) -> Scorer:
    """Return the scorer of a table: its ``type``, and options by name.

    Raises:
        DatasetInvalid: there is no such type or option, or an option's value is
            of another type.
    """
    options = dict(table)
    name = options.pop("type", None)
    if not isinstance(name, str) or name not in _TYPES:
        near = difflib.get_close_matches(str(name), _TYPES, n=3)
        msg = f"there is no scorer '{name}'"
        raise DatasetInvalid(msg, hint=f"take {', '.join(near or scorer_types())}")
    kind: Any = scorer_class(name)
    known = scorer_options(name)
    unknown = next((option for option in options if option not in known), None)
    if unknown is not None:
        msg = f"scorer '{name}' has no option '{unknown}'"
        raise DatasetInvalid(msg, hint=f"it has {', '.join(known)}")
    try:
        return cast("Scorer", _adapter(kind).validate_python(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        said = first["msg"].removeprefix("Value error, ")
        msg = f"scorer '{name}': {where}: {said}"
        raise DatasetInvalid(msg, hint=f"it takes {', '.join(known)}") from error
    except (TypeError, ValueError) as error:
        msg = f"scorer '{name}': {error}"
        raise DatasetInvalid(msg, hint=f"it takes {', '.join(known)}") from error
    except LocalkitError as error:
        msg = f"scorer '{name}': {error.one_line()}"
        raise DatasetInvalid(msg, hint=error.hint) from error


def as_scorer(value: Scorer | Mapping[str, Any] | str) -> Scorer:
    """Return a scorer from itself, its table, or its type name.

    Raises:
        DatasetInvalid: as `make_scorer`.
    """
    if isinstance(value, str):
        return make_scorer({"type": value})
    return make_scorer(value) if isinstance(value, Mapping) else value


class _Plain:
    """Builds a class whose types pydantic cannot read."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def validate_python(self, options: Mapping[str, Any]) -> Any:
        """Return the value, its options unchecked but for lists made tuples."""
        listed = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options.items()
        }
        return self._kind(**listed)


def _adapter(kind: Any) -> TypeAdapter[Any] | _Plain:
    try:
        return TypeAdapter(kind)
    except PydanticUserError:
        return _Plain(kind)
