"""Values as ``encoding/json`` writes them."""

from __future__ import annotations

import math
from typing import Any

from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.values import Map, Slice, Struct, as_bytes, is_invalid
from localkit.store.go_json import go_json


def to_json(value: Any) -> str:
    """Return ``value`` as JSON: keys of maps in order, ``<``, ``>``, ``&`` escaped.

    Empty when a number is not finite, as with Ollama's ``json``.
    """
    try:
        return go_json(plain(value))[:-1].decode()
    except ValueError:
        return ""


def plain(value: Any, depth: int = 0) -> Any:
    """Return a Go value as dicts and lists, in the order of its JSON.

    Raises:
        GoTemplateFault: it nests deeper than any tool or argument.
    """
    if depth > _MAX_DEPTH:
        msg = f"a value nests deeper than {_MAX_DEPTH}"
        raise GoTemplateFault(msg)
    deeper = depth + 1
    if is_invalid(value):
        return None
    if isinstance(value, str):
        # Go writes U+FFFD for each byte that is no text.
        return as_bytes(value).decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, Slice):
        if value.to_json is not None:
            return plain(value.to_json(value), deeper)
        return None if value.is_nil else [plain(one, deeper) for one in value.items()]
    if isinstance(value, Map):
        if value.is_nil:
            return None
        keys = list(value.of) if value.ordered else sorted(value.of, key=as_bytes)
        return {plain(key): plain(value.of[key], deeper) for key in keys}
    if isinstance(value, Struct):
        fields = value.json or tuple((name, name, False) for name in value.of)
        found = {
            name: plain(value.of[of], deeper)
            for of, name, omits in fields
            if not (omits and _is_empty(value.of[of]))
        }
        for name in sorted(value.extra):
            found.setdefault(name, plain(value.extra[name], deeper))
        return found
    return value


_MAX_DEPTH = 100


def _is_empty(value: Any) -> bool:
    if isinstance(value, Slice):
        return len(value) == 0
    if isinstance(value, Map):
        return not value.of
    return is_invalid(value) or (not isinstance(value, Struct) and not value)
