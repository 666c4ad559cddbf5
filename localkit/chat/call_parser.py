"""Tool calls read out of an answer; whatever a model writes, nothing is raised."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from localkit.chat.python_calls import read_python_calls
from localkit.chat.tools import ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.call_syntax import CallSyntax
    from localkit.chat.harmony import ChannelCall
    from localkit.chat.tools import Tool

_NAME_KEYS = ("name", "tool_name", "function")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")


class Parsed(NamedTuple):
    """What an answer holds."""

    text: str
    """What is no call, and calls that cannot be read as they were written."""
    tool_calls: tuple[ToolCall, ...] = ()
    notes: tuple[str, ...] = ()


class _Malformed(Exception):
    """The text is not the call that its beginning promised; says why."""


class _Call(NamedTuple):
    name: str
    arguments: dict[str, Any]


def parse_calls(
    text: str, syntax: CallSyntax, tools: Sequence[Tool], *, salt: str = ""
) -> Parsed:
    """Return the calls in ``text``, and the text around them.

    A call that cannot be read stays text, and a note says why. A tool that was not
    given is kept and noted: a caller can only answer what it sees.

    Args:
        text: The answer, without thinking.
        syntax: How the model writes calls.
        tools: Those that the model was told of.
        salt: What makes the ids differ from those of other answers.
    """
    start = find_opener(text, syntax)
    if start is None:
        return Parsed(text)
    calls: list[_Call] = []
    at = start
    try:
        while found := syntax.head_pattern.match(text, at):
            read, at = _read_body(text, found, syntax, tools)
            calls += read
            at = _skip(rf"{syntax.tail}\s*", text, at)
        if not calls:
            raise _Malformed("it has no name")
    except _Malformed as reason:
        if syntax.bare and not calls and not _means_a_call(text):
            return Parsed(text)
        note = f"a tool call could not be read and stands in the text: {reason}"
        unread = text[at:] if calls else text[start:]
        return _finished(text[:start], calls, unread, [note], tools, salt)
    return _finished(text[:start], calls, text[at:], [], tools, salt)


def parse_channel_calls(
    written: Sequence[ChannelCall], tools: Sequence[Tool], *, salt: str = ""
) -> Parsed:
    """Return the calls that gpt-oss wrote into channels, as `parse_calls` does."""
    calls, unread, notes = [], [], []
    for call in written:
        try:
            value, at = _json_at(call.arguments, 0)
            if call.arguments[at:].strip():
                raise _Malformed("text stands behind its arguments")
            calls.append(_Call(call.name, _arguments(value)))
        except _Malformed as reason:
            unread.append(call.arguments)
            notes.append(
                f"a tool call could not be read and stands in the text: {reason}"
            )
    return _finished("", calls, "\n".join(unread), notes, tools, salt)


def find_opener(text: str, syntax: CallSyntax, *, at_start: bool = True) -> int | None:
    """Return where the calls begin in ``text``; None if it holds none.

    ``at_start`` says that nothing stands before ``text``.
    """
    places = [at for opener in syntax.openers if (at := text.find(opener)) >= 0]
    if at_start and syntax.bare and text.lstrip().startswith("{"):
        places.append(len(text) - len(text.lstrip()))
    return min(places, default=None)


def _finished(
    before: str,
    read: Sequence[_Call],
    after: str,
    notes: list[str],
    tools: Sequence[Tool],
    salt: str,
) -> Parsed:
    known = {tool.name for tool in tools}
    calls = []
    for index, call in enumerate(read):
        if call.name not in known:
            notes.append(f"the model called '{call.name[:64]}', which is not a tool")
        arguments = _clean(call.arguments)
        calls.append(ToolCall(_clean(call.name), arguments, _id(salt, index, call)))
    # White space between text and call belongs to neither.
    text = before.rstrip() if calls else before
    if after.strip():
        text += ("\n" if text and calls else "") + after
    return Parsed(text, tuple(calls), tuple(notes))


def _id(salt: str, index: int, call: _Call) -> str:
    """Return nine hexadecimal digits: the same for the same answer."""
    seed = f"{salt}\0{index}\0{call!r}".encode(errors="replace")
    return hashlib.sha256(seed).hexdigest()[:9]


def _read_body(
    text: str, head: re.Match[str], syntax: CallSyntax, tools: Sequence[Tool]
) -> tuple[list[_Call], int]:
    """Return the calls behind ``head`` and where they end."""
    name = head.groupdict().get("name")
    if syntax.body == "json":
        return _json_calls(text, head.end(), named_by_key=syntax.named_by_key)
    if syntax.body == "python":
        return _python_calls(text, head.end(), syntax)
    if not name:
        raise _Malformed("it has no name")
    if syntax.body == "arguments":
        value, at = _json_at(text, head.end())
        return [_Call(name, _arguments(value))], at
    arguments, at = {}, head.end()
    pattern = re.compile(syntax.argument_pattern)
    types = _property_types(name, tools)
    while found := pattern.match(text, at):
        key = found["key"]
        arguments[key] = _typed(found["value"], types.get(key))
        at = found.end()
    if not re.compile(syntax.tail).match(text, at):
        raise _Malformed(
            f"it breaks off, or holds what is no argument: {_near(text, at)}"
        )
    return [_Call(name, arguments)], at


def _json_calls(text: str, at: int, *, named_by_key: bool) -> tuple[list[_Call], int]:
    calls: list[_Call] = []
    while True:
        value, at = _json_at(text, at)
        items = value if isinstance(value, list) else [value]
        calls += [_call_of(item, named_by_key=named_by_key) for item in items]
        # Some models write one object after the other where a list is meant.
        following = _skip(r"\s*[,;]?\s*", text, at)
        if not text.startswith("{", following):
            return calls, at
        at = following


def _call_of(value: object, *, named_by_key: bool) -> _Call:
    item: dict[str, Any] = value if isinstance(value, dict) else {}
    if item is not value:
        raise _Malformed("it is no JSON object")
    if isinstance(item.get("function"), dict):
        item = item["function"]
    name = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), "")
    if name:
        given: Any = next((item[key] for key in _ARGUMENT_KEYS if key in item), {})
        return _Call(name, _arguments(given))
    if named_by_key and len(item) == 1:
        name, given = next(iter(item.items()))
        return _Call(name, _arguments(given))
    raise _Malformed("it has no name")


def _arguments(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        value, _ = _json_at(value or "{}", 0)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Malformed("its arguments are no JSON object")
    return value


def _json_at(text: str, at: int) -> tuple[Any, int]:
    at = _skip(r"\s*", text, at)
    try:
        return _decoder.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise _Malformed(f"no JSON at {_near(text, at)}") from error


def _no_constant(name: str) -> object:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


# Line ends inside a text are no JSON, and common.
_decoder = json.JSONDecoder(strict=False, parse_constant=_no_constant)


def _python_calls(text: str, at: int, syntax: CallSyntax) -> tuple[list[_Call], int]:
    found = re.compile(syntax.tail).search(text, at)
    end = found.start() if found else len(text)
    try:
        calls = [_Call(*call) for call in read_python_calls(text[at:end])]
    except ValueError as error:
        raise _Malformed(f"no Python calls at {_near(text, at)}") from error
    return calls, end


def _property_types(name: str, tools: Sequence[Tool]) -> dict[str, object]:
    properties: dict[str, Any] = {}
    for tool in tools:
        if tool.name == name:
            properties = tool.parameters.get("properties", {})
    return {
        key: value.get("type") if isinstance(value, dict) else None
        for key, value in properties.items()
    }


def _typed(written: str, kind: object) -> Any:
    """Return an argument written as plain text, as its schema wants it."""
    if kind == "string":
        return written
    try:
        return _decoder.decode(written.strip())
    except (ValueError, RecursionError):
        return written


def _clean(value: Any) -> Any:
    """Return ``value`` with U+FFFD for half surrogate pairs, which JSON can spell."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _means_a_call(text: str) -> bool:
    return '"name"' in text and any(f'"{key}"' in text for key in _ARGUMENT_KEYS)


def _skip(pattern: str, text: str, at: int) -> int:
    found = re.compile(pattern).match(text, at)
    return found.end() if found else at


def _near(text: str, at: int) -> str:
    shown = " ".join(text[at : at + 40].split())
    return repr(shown) if shown else "the end"
