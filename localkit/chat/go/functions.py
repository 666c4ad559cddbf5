"""What the functions of a template do (``text/template/funcs.go``, Ollama's own)."""

from __future__ import annotations

import html
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote_plus

from localkit.chat.go.as_json import to_json
from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.printing import formatted, printed, shown
from localkit.chat.go.values import (
    NIL,
    Byte,
    Map,
    Slice,
    Struct,
    as_bytes,
    equal,
    is_invalid,
    is_true,
    kind_of,
    less,
    size_of,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Taking(NamedTuple):
    """A function, and what it takes."""

    call: Callable[..., Any]
    fewest: int
    most: int | None
    """None: any number."""
    first_is_text: bool = False


def index(item: Any, *indexes: Any) -> Any:
    """Return ``item[index][index]…``; bytes of a text, values of a map."""
    if is_invalid(item):
        raise GoTemplateFault("index of untyped nil")
    for at in indexes:
        if is_invalid(item):
            raise GoTemplateFault("index of nil pointer")
        if isinstance(item, Map):
            if not isinstance(at, str):
                msg = f"value has type {type_of(at)}; should be string"
                raise GoTemplateFault(msg)
            item = item.of.get(at, item.zero)
        elif isinstance(item, Slice | str):
            place = _place(at, size_of(item) - 1)
            if isinstance(item, str):
                item = Byte(as_bytes(item)[place])
            else:
                item = item.of[item.start + place]
        else:
            msg = f"can't index item of type {type_of(item)}"
            raise GoTemplateFault(msg)
    return item


def cut(item: Any, *indexes: Any) -> Any:
    """Return ``item[i:j]``: a window on a list, or the bytes of a text."""
    if is_invalid(item):
        raise GoTemplateFault("slice of untyped nil")
    if len(indexes) > 3:
        msg = f"too many slice indexes: {len(indexes)}"
        raise GoTemplateFault(msg)
    if isinstance(item, str):
        if len(indexes) == 3:
            raise GoTemplateFault("cannot 3-index slice a string")
        data = as_bytes(item)
        start, end = _window(indexes, len(data), len(data))
        return data[start:end].decode("utf-8", "surrogateescape")
    if not isinstance(item, Slice):
        msg = f"can't slice item of type {type_of(item)}"
        raise GoTemplateFault(msg)
    start, end = _window(indexes, len(item), item.capacity)
    return Slice(
        item.of,
        item.start + start,
        item.start + end,
        item.type_name,
        item.text,
        item.to_json,
        item.is_nil,
    )


def _window(indexes: tuple[Any, ...], size: int, capacity: int) -> tuple[int, int]:
    places = [_place(at, capacity) for at in indexes]
    start, end = [*places, *[0, size][len(places) :]][:2]
    if start > end:
        msg = f"invalid slice index: {start} > {end}"
        raise GoTemplateFault(msg)
    if len(places) == 3 and end > places[2]:
        msg = f"invalid slice index: {end} > {places[2]}"
        raise GoTemplateFault(msg)
    return start, end


def _place(at: Any, last: int) -> int:
    if is_invalid(at):
        raise GoTemplateFault("cannot index slice/array with nil")
    if kind_of(at) not in ("int", "uint"):
        msg = f"cannot index slice/array with type {type_of(at)}"
        raise GoTemplateFault(msg)
    if not 0 <= at <= last:
        msg = f"index out of range: {at}"
        raise GoTemplateFault(msg)
    return int(at)


def _any_equal(first: Any, *others: Any) -> bool:
    if not others:
        raise GoTemplateFault("missing argument for comparison")
    return any(equal(first, other) for other in others)


def _less_or_equal(left: Any, right: Any) -> bool:
    return less(left, right) or equal(left, right)


def _text_of(values: tuple[Any, ...]) -> str:
    """Return the arguments as one text, as ``html`` and ``urlquery`` read them."""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return printed(["<no value>" if is_invalid(one) else one for one in values])


def _html(*values: Any) -> str:
    text = html.escape(_text_of(values))
    text = text.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return text.replace("\x00", "\ufffd")


def _urlquery(*values: Any) -> str:
    return quote_plus(as_bytes(_text_of(values)), safe="~")


def _date(days_ago: int) -> str:
    day = datetime.now().astimezone() - timedelta(days=days_ago)
    return day.strftime("%Y-%m-%d")


def _typescript(value: Any = None) -> str:
    method = (
        value.methods.get("ToTypeScriptType") if isinstance(value, Struct) else None
    )
    return method(value) if method else "any"


FUNCTIONS: Mapping[str, Taking] = {
    "index": Taking(index, 1, None),
    "slice": Taking(cut, 1, None),
    "len": Taking(size_of, 1, 1),
    "not": Taking(lambda value: not is_true(value), 1, 1),
    "print": Taking(lambda *values: printed(values), 0, None),
    "println": Taking(lambda *values: printed(values, line=True), 0, None),
    "printf": Taking(
        lambda pattern, *values: formatted(pattern, values), 1, None, first_is_text=True
    ),
    "html": Taking(_html, 0, None),
    "urlquery": Taking(_urlquery, 0, None),
    "eq": Taking(_any_equal, 1, None),
    "ne": Taking(lambda left, right: not equal(left, right), 2, 2),
    "lt": Taking(less, 2, 2),
    "le": Taking(_less_or_equal, 2, 2),
    "gt": Taking(lambda left, right: not _less_or_equal(left, right), 2, 2),
    "ge": Taking(lambda left, right: not less(left, right), 2, 2),
    "json": Taking(to_json, 1, 1),
    "currentDate": Taking(lambda *_: _date(0), 0, None),
    "yesterdayDate": Taking(lambda *_: _date(1), 0, None),
    "toTypeScriptType": Taking(_typescript, 1, 1),
}


def text_of(value: Any) -> str:
    """Return what an action writes."""
    if value is None or value is NIL:
        return "<no value>"
    return value if isinstance(value, str) else shown(value)
