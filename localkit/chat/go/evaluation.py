"""A parsed Go template run over values (``text/template/exec.go``).

Nothing here reaches into a Python object: fields are keys of `Struct` and `Map`.
Every step is charged to the budget of `localkit.chat.budget`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from localkit.chat.budget import MAX_VALUE, Budget, OverBudget
from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.functions import FUNCTIONS, text_of
from localkit.chat.go.nodes import (
    Action,
    Argument,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Leave,
    Literal,
    Node,
    Nodes,
    Pipe,
    Text,
    Variable,
)
from localkit.chat.go.parser import MAX_VARIABLES
from localkit.chat.go.values import (
    NIL,
    Map,
    Slice,
    Struct,
    is_invalid,
    is_true,
    kind_of,
    type_of,
    weight,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_CALLS: Final = 40
"""How deep templates may call templates; Go's own limit is 100,000."""
MAX_DEPTH: Final = 120
"""How deep branches, calls and pipelines may nest while they run, together."""
_ABSENT: Final = object()
_LOOKING: Final = frozenset({"index", "slice", "len", "not", "eq", "ne"})
"""They look at a list or map without writing it out."""


@dataclass(slots=True)
class Run:
    """One rendering: what is left to spend, and what is written."""

    root: Nodes
    defined: Mapping[str, Nodes]
    budget: Budget
    room: int
    """Characters it may still write."""
    chunks: list[str] = field(default_factory=list)
    line: int = 0
    """Where it is."""
    variables: list[tuple[str, Any]] = field(default_factory=list)
    depth: int = 0
    calls: int = 0

    def text(self, data: Any) -> str:
        """Return what the template writes for ``data``; raw bytes become U+FFFD.

        Raises:
            GoTemplateFault: it fails, with the line.
            OverBudget: it does more than a chat template needs.
        """
        self.variables = [("$", data)]
        try:
            self._walk(self.root, data)
        except GoTemplateFault as fault:
            raise GoTemplateFault(fault.reason, fault.line or self.line) from fault
        except RecursionError:
            raise GoTemplateFault("it nests too deep", self.line) from None
        whole = "".join(self.chunks).encode("utf-8", "surrogateescape")
        return whole.decode("utf-8", "replace")

    def _walk(self, nodes: Nodes, dot: Any) -> str | None:
        """Run nodes; return ``break`` or ``continue`` where one was met."""
        self._enter()
        leaves = None
        for node in nodes:
            leaves = self._node(node, dot)
            if leaves is not None:
                break
        self.depth -= 1
        return leaves

    def _node(self, node: Node, dot: Any) -> str | None:
        self.line = node.line
        self.budget.charge()
        match node:
            case Text():
                self._write(node.text)
            case Action():
                value = self._pipe(node.pipe, dot)
                if not node.pipe.declares:
                    self._pay(value)
                    self._write(text_of(value))
            case Branch(kind="range"):
                return self._range(node, dot)
            case Branch():
                return self._branch(node, dot)
            case Call():
                self._call(node, dot)
            case Leave():
                return node.kind
        return None

    def _write(self, text: str) -> None:
        self.budget.charge(len(text))
        self.room -= len(text)
        if self.room < 0:
            msg = f"it writes more than {MAX_VALUE:,} characters"
            raise OverBudget(msg)
        self.chunks.append(text)

    def _branch(self, node: Branch, dot: Any) -> str | None:
        mark = len(self.variables)
        value = self._pipe(node.pipe, dot)
        leaves = None
        if is_true(value):
            leaves = self._walk(node.body, value if node.kind == "with" else dot)
        elif node.otherwise is not None:
            leaves = self._walk(node.otherwise, dot)
        del self.variables[mark:]
        return leaves

    def _range(self, node: Branch, dot: Any) -> str | None:
        outer = len(self.variables)
        value = self._pipe(node.pipe, dot)
        mark = len(self.variables)
        ran = False
        for index, item in self._turns(value, len(node.pipe.declares)):
            ran = True
            self.budget.charge()
            self._set_turn(node.pipe, index, item)
            leaves = self._walk(node.body, item)
            del self.variables[mark:]
            if leaves == "break":
                break
        leaves = None
        if not ran and node.otherwise is not None:
            leaves = self._walk(node.otherwise, dot)
        del self.variables[outer:]
        return leaves

    def _turns(self, value: Any, n_declared: int) -> Iterable[tuple[Any, Any]]:
        if is_invalid(value):
            return ()
        if isinstance(value, Slice):
            self.budget.charge(len(value))
            return enumerate(value.items())
        if isinstance(value, Map):
            self.budget.charge(len(value.of))
            return [(key, value.of[key]) for key in sorted(value.of)]
        if kind_of(value) in ("int", "uint"):
            if n_declared > 1:
                msg = f"can't use {value} to iterate over more than one variable"
                raise GoTemplateFault(msg)
            return ((None, turn) for turn in range(value))
        msg = f"range can't iterate over a {type_of(value)}"
        raise GoTemplateFault(msg)

    def _set_turn(self, pipe: Pipe, index: Any, item: Any) -> None:
        names = pipe.declares
        if not names:
            return
        pair = (index, item) if len(names) > 1 else (item,)
        if pipe.assigns:
            for name, value in zip(names, pair, strict=True):
                self._assign(name, value)
        else:
            top = len(self.variables) - len(names)
            self.variables[top:] = zip(names, pair, strict=True)

    def _call(self, node: Call, dot: Any) -> None:
        if node.name not in self.defined:
            msg = f"template {node.name[:40]!r} not defined"
            raise GoTemplateFault(msg)
        if self.calls >= MAX_CALLS:
            msg = f"templates call each other more than {MAX_CALLS} deep"
            raise OverBudget(msg)
        given = None if node.pipe is None else self._pipe(node.pipe, dot)
        kept, self.variables = self.variables, [("$", given)]
        self.calls += 1
        self._walk(self.defined[node.name], given)
        self.calls -= 1
        self.variables = kept

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = _ABSENT
        self._enter()
        for command in pipe.commands:
            value = self._command(command, dot, value)
            if value is NIL:
                value = None
        self.depth -= 1
        for name in pipe.declares:
            if pipe.assigns:
                self._assign(name, value)
            elif len(self.variables) >= MAX_VARIABLES:
                msg = f"it has more than {MAX_VARIABLES} variables"
                raise OverBudget(msg)
            else:
                self.variables.append((name, value))
        return value

    def _assign(self, name: str, value: Any) -> None:
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == name:
                self.variables[at] = (name, value)
                return
        msg = f"undefined variable: {name}"
        raise GoTemplateFault(msg)

    def _command(self, command: Command, dot: Any, last: Any) -> Any:
        first, rest = command.arguments[0], command.arguments[1:]
        self.line = first.line
        if isinstance(first, Function):
            return self._function(first, rest, dot, last)
        takes_none = not rest and last is _ABSENT
        if isinstance(first, Field | Chain) or (
            isinstance(first, Variable) and first.names
        ):
            return self._argument(first, dot, takes_none=takes_none)
        if not takes_none:
            raise GoTemplateFault("can't give argument to non-function")
        if isinstance(first, Literal) and first.is_nil:
            raise GoTemplateFault("nil is not a command")
        return self._argument(first, dot)

    def _argument(
        self, argument: Argument, dot: Any, *, takes_none: bool = True
    ) -> Any:
        """Return the value of an argument, or of the first word of a command."""
        match argument:
            case Literal():
                return argument.value
            case Dot():
                return dot
            case Field():
                return self._fields(dot, argument.names, takes_none=takes_none)
            case Variable():
                value = self._variable(argument.name)
                return self._fields(value, argument.names, takes_none=takes_none)
            case Function():
                return self._function(argument, (), dot, _ABSENT)
            case Chain():
                if isinstance(argument.of, Literal):
                    raise GoTemplateFault("indirection through explicit nil")
                value = self._argument(argument.of, dot)
                return self._fields(value, argument.names, takes_none=takes_none)
            case Pipe():
                return self._pipe(argument, dot)

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        msg = f"undefined variable: {name}"
        raise GoTemplateFault(msg)

    def _fields(self, value: Any, names: tuple[str, ...], *, takes_none: bool) -> Any:
        for at, name in enumerate(names, 1):
            self.budget.charge()
            value = _field(value, name, takes_none=takes_none or at < len(names))
        return value

    def _function(
        self, function: Function, rest: Sequence[Argument], dot: Any, last: Any
    ) -> Any:
        self.budget.charge()
        name = function.name
        n_given = len(rest) + (last is not _ABSENT)
        if name in ("and", "or"):
            if not n_given:
                raise _wrong_number(name, "at least 1", n_given)
            return self._either(name, rest, dot, last)
        taking = FUNCTIONS[name]
        if n_given < taking.fewest:
            more = "at least " if taking.most is None else ""
            raise _wrong_number(name, f"{more}{taking.fewest}", n_given)
        if taking.most is not None and n_given > taking.most:
            raise _wrong_number(name, f"{taking.most}", n_given)
        values = [self._argument(one, dot) for one in rest]
        if last is not _ABSENT:
            values.append(last)
        self.line = function.line
        if taking.first_is_text and not isinstance(values[0], str):
            msg = f"wrong type for value; expected string; got {type_of(values[0])}"
            raise GoTemplateFault(msg)
        for value in values:
            if isinstance(value, str):
                self.budget.charge(len(value))
            elif name not in _LOOKING:
                self._pay(value)
        try:
            result = taking.call(*values)
        except GoTemplateFault as fault:
            msg = f"error calling {name}: {fault.reason}"
            raise GoTemplateFault(msg) from fault
        self.budget.charge(len(result) if isinstance(result, str) else 0)
        return result

    def _either(self, name: str, rest: Sequence[Argument], dot: Any, last: Any) -> Any:
        """Return the first argument that decides, and evaluate no other."""
        value: Any = None
        for argument in rest:
            value = self._argument(argument, dot)
            if is_true(value) == (name == "or"):
                return value
        return value if last is _ABSENT else last

    def _pay(self, value: Any) -> None:
        """Charge for a value that is about to be written out or looked through."""
        self.budget.charge(weight(value, self.budget.max_value))

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            msg = f"it nests deeper than {MAX_DEPTH} while it runs"
            raise OverBudget(msg)


def _field(value: Any, name: str, *, takes_none: bool) -> Any:
    if value is None:
        return None
    if value is NIL:
        msg = f"nil pointer evaluating interface {{}}.{name[:40]}"
        raise GoTemplateFault(msg)
    if isinstance(value, Slice | Map | Struct):
        method = _method(value, name)
        if method is not None:
            if not takes_none:
                raise _wrong_number(name, "0", 1)
            return method(value)
    if isinstance(value, Struct) and name in value.of:
        found = value.of[name]
    elif isinstance(value, Map):
        found = value.of.get(name, value.zero)
    else:
        msg = f"can't evaluate field {name[:40]} in type {type_of(value)}"
        raise GoTemplateFault(msg)
    if not takes_none:
        msg = f"{name[:40]} has arguments but cannot be invoked as function"
        raise GoTemplateFault(msg)
    return found


def _method(value: Slice | Map | Struct, name: str) -> Callable[[Any], Any] | None:
    if name == "String":
        return value.text
    return value.methods.get(name) if isinstance(value, Struct) else None


def _wrong_number(name: str, want: str, got: int) -> GoTemplateFault:
    return GoTemplateFault(
        f"wrong number of args for {name[:40]}: want {want} got {got}"
    )
