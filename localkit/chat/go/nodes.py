"""What a Go template consists of, once parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it is."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A bool, number, string or nil."""

    value: Any
    line: int
    is_nil: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """The value at hand."""

    line: int


@dataclass(frozen=True, slots=True)
class Field:
    """``.A.B``: fields of the value at hand."""

    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$x.A``: a variable, and fields of it."""

    name: str
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Chain:
    """``(…).A.B``: fields of what a pipeline gives."""

    of: Argument
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function or method with its arguments."""

    arguments: tuple[Argument, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each the last argument of the next."""

    commands: tuple[Command, ...]
    line: int
    declares: tuple[str, ...] = ()
    """Variables it sets."""
    assigns: bool = False
    """Whether they are there already."""


Argument = Literal | Dot | Field | Variable | Function | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Action:
    """Write what a pipeline gives."""

    pipe: Pipe
    line: int


@dataclass(frozen=True, slots=True)
class Branch:
    """``if``, ``with`` and ``range``."""

    kind: str
    pipe: Pipe
    body: Nodes
    otherwise: Nodes | None
    line: int


@dataclass(frozen=True, slots=True)
class Call:
    """``template``: another template, with a value at hand."""

    name: str
    pipe: Pipe | None
    line: int


@dataclass(frozen=True, slots=True)
class Leave:
    """``break`` or ``continue``."""

    kind: str
    line: int


Node = Text | Action | Branch | Call | Leave
Nodes = tuple[Node, ...]
