"""What the source of a Go template shows without running it.

Which variables it uses, what it writes before calls, between which tags thinking
stands (``template.go``: ``Identifiers`` and ``deleteNode``; ``tools/template.go``;
``thinking/template.go``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from localkit.chat.go.nodes import (
    Action,
    Argument,
    Branch,
    Call,
    Field,
    Node,
    Nodes,
    Pipe,
    Text,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.chat.go.parser import Parsed


def variables(parsed: Parsed) -> frozenset[str]:
    """Return the names of all fields and variables used, in lower case."""
    found: set[str] = set()
    for nodes in (parsed.root, *parsed.defined.values()):
        for pipe in _pipes(nodes):
            found.update(name.lower() for name in _names(pipe))
    return frozenset(found)


def written(parsed: Parsed) -> str:
    """Return the text that the template writes by itself, one line a piece."""
    found: list[str] = []
    for nodes in (parsed.root, *parsed.defined.values()):
        found.extend(_texts(nodes))
        found.extend(_constants(nodes))
    return "\n".join(found)


def call_tag(parsed: Parsed) -> str:
    """Return what stands before the calls of an answer; ``{`` if nothing does."""
    branch = _call_branch(parsed.root)
    text = _first_text(branch.body) if branch is not None else None
    if not text:
        return "{"
    tag = text.replace("\r\n", "\n").partition("{")[0].strip()
    return tag or "{"


def thinking_tags(parsed: Parsed) -> tuple[str, str]:
    """Return what stands before and behind ``.Thinking`` of a message; or nothing."""
    found = ("", "")
    for body, in_messages in _bodies(parsed.root):
        if in_messages:
            first, last = body[0], body[-1]
            opens = first.text.strip() if isinstance(first, Text) else found[0]
            closes = last.text.strip() if isinstance(last, Text) else found[1]
            found = (opens, closes)
    return found


def cut_at_response(nodes: Nodes) -> Nodes:
    """Return what stands up to ``{{ .Response }}``: the rest follows an answer."""
    return _cut(nodes)[0]


def _cut(nodes: Nodes) -> tuple[Nodes, bool]:
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Action) and _writes_response(node.pipe):
            return (*kept, node), True
        if isinstance(node, Branch):
            body, done = _cut(node.body)
            otherwise = node.otherwise
            if done:
                otherwise = () if otherwise is not None else None
            elif otherwise is not None:
                otherwise, done = _cut(otherwise)
            kept.append(replace(node, body=body, otherwise=otherwise))
            if done:
                return tuple(kept), True
            continue
        kept.append(node)
    return tuple(kept), False


def _writes_response(pipe: Pipe) -> bool:
    return any(
        isinstance(argument, Field) and "Response" in argument.names
        for command in pipe.commands
        for argument in command.arguments
    )


def _pipes(nodes: Nodes) -> Iterator[Pipe]:
    for node in nodes:
        if isinstance(node, Action | Branch | Call) and node.pipe is not None:
            yield node.pipe
        if isinstance(node, Branch):
            yield from _pipes(node.body)
            yield from _pipes(node.otherwise or ())


def _names(pipe: Pipe) -> Iterator[str]:
    for argument in _arguments(pipe):
        if isinstance(argument, Field):
            yield from argument.names
        elif isinstance(argument, Variable):
            yield argument.name
            yield from argument.names
        elif isinstance(argument, Pipe):
            yield from _names(argument)


def _arguments(pipe: Pipe) -> Iterator[Argument]:
    for command in pipe.commands:
        yield from command.arguments


def _texts(nodes: Nodes) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Text):
            yield node.text
        elif isinstance(node, Branch):
            yield from _texts(node.body)
            yield from _texts(node.otherwise or ())


def _constants(nodes: Nodes) -> Iterator[str]:
    for pipe in _pipes(nodes):
        waiting = [pipe]
        while waiting:
            for argument in _arguments(waiting.pop()):
                if isinstance(argument, Pipe):
                    waiting.append(argument)
                value = getattr(argument, "value", None)
                if isinstance(value, str):
                    yield value


def _call_branch(nodes: Nodes) -> Branch | None:
    for node in nodes:
        if not isinstance(node, Branch):
            continue
        if node.kind == "if" and any(
            isinstance(argument, Field) and "ToolCalls" in argument.names
            for argument in _arguments(node.pipe)
        ):
            return node
        inner = _call_branch(node.body) or _call_branch(node.otherwise or ())
        if inner is not None:
            return inner
    return None


def _first_text(nodes: Nodes) -> str | None:
    for node in nodes:
        if isinstance(node, Text):
            if node.text.strip():
                return node.text
        elif isinstance(node, Branch):
            return _first_text(node.body) or _first_text(node.otherwise or ())
        elif isinstance(node, Action):
            return None
    return None


def _bodies(nodes: Nodes, *, in_messages: bool = False) -> Iterator[tuple[Nodes, bool]]:
    """Yield, for each ``.Thinking``, the nodes it stands among, in order of reading.

    With each: whether the nearest ``range`` goes over the messages.
    """
    for node in nodes:
        pipe = getattr(node, "pipe", None)
        if pipe is None:
            continue
        inside = in_messages
        if isinstance(node, Branch) and node.kind == "range":
            inside = _ranges_over_messages(pipe)
        if any(_is_thinking(argument) for argument in _all_arguments(pipe)):
            yield nodes, inside
        if isinstance(node, Branch):
            yield from _bodies(node.body, in_messages=inside)
            yield from _bodies(node.otherwise or (), in_messages=inside)


def _all_arguments(pipe: Pipe) -> Iterator[Argument]:
    for argument in _arguments(pipe):
        yield argument
        if isinstance(argument, Pipe):
            yield from _all_arguments(argument)


def _is_thinking(argument: Argument) -> bool:
    return isinstance(argument, Field) and argument.names[0] == "Thinking"


def _ranges_over_messages(pipe: Pipe) -> bool:
    return any(
        isinstance(argument, Field) and argument.names[0] == "Messages"
        for argument in _all_arguments(pipe)
    )
