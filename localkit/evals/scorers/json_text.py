"""JSON in answers and targets: read within bounds, compared as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Beyond, a value is no answer, and comparing it would exhaust the stack.
MAX_DEPTH = 64


def read_json(text: str, *, fenced: bool = False) -> Any:
    """Return the value of a JSON text.

    Args:
        text: What should be JSON and nothing else.
        fenced: Whether a Markdown code fence around it does no harm.

    Raises:
        ValueError: it is not JSON (NaN and Infinity are not), names a key twice,
            or is nested deeper than 64.
    """
    if fenced:
        text = _unfenced(text)
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except RecursionError:
        value = None
        too_deep = True
    else:
        too_deep = _depth_exceeds(value, MAX_DEPTH)
    if too_deep:
        msg = f"it is nested deeper than {MAX_DEPTH}"
        raise ValueError(msg)
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; 1 and 1.0 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def share(said: Any, wanted: Any) -> float:
    """Return the share of keys of two objects that both have with equal values."""
    if not (isinstance(said, Mapping) and isinstance(wanted, Mapping)):
        return float(same(said, wanted))
    keys = said.keys() | wanted.keys()
    right = sum(
        key in said and key in wanted and same(said[key], wanted[key]) for key in keys
    )
    return right / len(keys) if keys else 1.0


def _unfenced(text: str) -> str:
    """Return what a code fence around all of ``text`` holds, or the text itself."""
    whole = text.strip()
    first, _, rest = whole.partition("\n")
    if first.startswith("```") and "`" not in first[3:] and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "an object names a key twice"
        raise ValueError(msg)
    return found


def _refuse_constant(constant: str) -> None:
    msg = f"{constant} is not a JSON value"
    raise ValueError(msg)


def _depth_exceeds(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for one in level
            if isinstance(one, Mapping | list)
            for inner in (one.values() if isinstance(one, Mapping) else one)
        ]
        if not level:
            return False
    return True
