"""A Modelfile as a value: what its instructions say together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localkit.errors import ModelfileInvalid
from localkit.store.go_json import go_json
from localkit.store.modelfile import parameters
from localkit.store.modelfile.grammar import Instruction, decode, read, written
from localkit.store.modelfile.parameters import RETIRED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SEMVER = re.compile(
    r"v?(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)
_ONCE = ("template", "system", "draft", "renderer", "parser", "requires")


@dataclass(frozen=True)
class Modelfile:
    """What a Modelfile asks for; None and empty: nothing is said."""

    sources: tuple[str, ...]
    """Of FROM: a model ref, or paths of weights and what belongs to them."""
    params: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    system: str | None = None
    adapters: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    messages: tuple[Mapping[str, str], ...] = ()
    """``role`` and ``content`` each."""
    draft: str | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    """Oldest Ollama, without a ``v``."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was left out, and why."""

    def __str__(self) -> str:
        """Return the text of the Modelfile, which `parse` reads back."""
        return "".join(f"{written(one)}\n" for one in self._instructions())

    def _instructions(self) -> Iterator[Instruction]:
        for source in self.sources:
            yield Instruction("from", source)
        for adapter in self.adapters:
            yield Instruction("adapter", adapter)
        for command in _ONCE:
            value = getattr(self, command)
            if value is not None:
                yield Instruction(command, value)
        for name, value in sorted(self.params.items()):
            for one in value if isinstance(value, list | tuple) else [value]:
                yield Instruction("parameter", _shown(one), name)
        for licence in self.licences:
            yield Instruction("license", licence)
        for message in self.messages:
            yield Instruction("message", message["content"], message["role"])


def parse(text: str | bytes) -> Modelfile:
    """Read a Modelfile.

    Raises:
        ModelfileInvalid: it breaks the grammar, names no model, or a value is of the
            wrong kind; names the line.
    """
    if isinstance(text, bytes):
        text = decode(text)
    found = _Collected()
    for instruction in read(text):
        found.take(instruction)
    if not found.sources:
        raise ModelfileInvalid(
            "no FROM line", hint="begin with FROM and a model ref or a file"
        )
    return Modelfile(
        sources=tuple(found.sources),
        params=found.params,
        adapters=tuple(found.adapters),
        licences=tuple(found.licences),
        messages=tuple(found.messages),
        notes=tuple(found.notes),
        **found.once,
    )


class _Collected:
    """What the instructions so far say."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.adapters: list[str] = []
        self.licences: list[str] = []
        self.messages: list[dict[str, str]] = []
        self.params: dict[str, Any] = {}
        self.once: dict[str, str] = {}
        self.notes: list[str] = []

    def take(self, one: Instruction) -> None:
        """Add an instruction."""
        match one.command:
            case "from":
                self.sources.append(_named(one))
            case "adapter":
                self.adapters.append(_named(one))
            case "license":
                self.licences.append(one.value)
            case "message":
                self.messages.append({"role": one.key, "content": one.value})
            case "parameter":
                self._parameter(one)
            case command:
                self._note_a_second(command in self.once, command.upper(), one)
                self.once[command] = _checked(one)

    def _parameter(self, one: Instruction) -> None:
        name = one.key
        if name in RETIRED:
            self.notes.append(f"PARAMETER {name} (line {one.line}): {RETIRED[name]}")
            return
        value = parameters.from_text(name, one.value, line=one.line)
        if isinstance(value, list):
            value = parameters.checked(
                name, [*self.params.get(name, ()), *value], line=one.line
            )
        else:
            self._note_a_second(name in self.params, f"PARAMETER {name}", one)
        self.params[name] = value
        known = parameters.PARAMETERS[name]
        if not known.has_effect:
            self.notes.append(f"PARAMETER {name} (line {one.line}): {known.does}")

    def _note_a_second(self, is_second: bool, what: str, one: Instruction) -> None:
        if is_second:
            self.notes.append(f"{what} stands twice; line {one.line} counts")


def _named(one: Instruction) -> str:
    if not one.value.strip():
        raise ModelfileInvalid(
            f"(line {one.line}): {one.command.upper()} names nothing",
            hint="name a file or a model",
            line=one.line,
        )
    return one.value


def _checked(one: Instruction) -> str:
    """Return the value of an instruction that counts once."""
    if one.command in ("draft", "renderer", "parser"):
        return _named(one)
    if one.command == "requires":
        if not _SEMVER.fullmatch(one.value):
            raise ModelfileInvalid(
                f"(line {one.line}): requires must be a valid semver (e.g. 0.14.0)",
                hint=f"it is '{one.value[:60]}'",
                line=one.line,
            )
        return one.value.removeprefix("v")
    return one.value


def _shown(value: Any) -> str:
    """Return a parameter's value as a Modelfile has it."""
    return value if isinstance(value, str) else go_json(value).decode().strip()
