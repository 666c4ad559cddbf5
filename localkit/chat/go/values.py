"""Go's values, as templates see them, and its rules of truth and comparison.

A bool, int, float or text of Python stands for Go's; a text holds raw bytes as lone
surrogates. None is no value at all, `NIL` an interface that holds none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from localkit.chat.go.failure import GoTemplateFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Kind = Literal[
    "invalid", "bool", "int", "uint", "float", "string", "slice", "map", "struct"
]


class _Nil:
    __slots__ = ()

    def __repr__(self) -> str:
        return "nil"


NIL: Final = _Nil()


class Byte(int):
    """One byte of a text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A slice: a window on a list, which is never copied."""

    of: Sequence[Any]
    start: int = 0
    end: int = -1
    """Where it ends; -1: at the end."""
    type_name: str = "[]interface {}"
    text: Callable[[Slice], str] | None = None
    """How it prints itself."""
    to_json: Callable[[Slice], Any] | None = None
    is_nil: bool = False

    def __len__(self) -> int:
        """Return the number of items."""
        return (len(self.of) if self.end < 0 else self.end) - self.start

    def items(self) -> Sequence[Any]:
        """Return the items."""
        return self.of[self.start : self.start + len(self)]

    @property
    def capacity(self) -> int:
        """How far it may be sliced."""
        return len(self.of) - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A map with texts for keys; ranged over in the order of the keys."""

    of: Mapping[str, Any]
    type_name: str = "map[string]interface {}"
    zero: Any = NIL
    """What a key that is not there gives."""
    text: Callable[[Map], str] | None = None
    is_nil: bool = False
    ordered: bool = False
    """Whether its JSON keeps the order of the keys."""


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    """A struct, or a pointer to one."""

    type_name: str
    of: Mapping[str, Any]
    text: Callable[[Struct], str] | None = None
    methods: Mapping[str, Callable[[Struct], Any]] = field(default_factory=dict)
    json: tuple[tuple[str, str, bool], ...] = ()
    """Field, name in JSON, and whether it is left out when empty; all if empty."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else its JSON holds, after the fields."""
    is_pointer: bool = False


def is_invalid(value: Any) -> bool:
    """Return whether there is no value."""
    return value is None or value is NIL


def kind_of(value: Any) -> Kind:
    """Return what sort of value it is."""
    match value:
        case bool():
            return "bool"
        case Byte():
            return "uint"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case Slice():
            return "slice"
        case Map():
            return "map"
        case Struct():
            return "struct"
    return "invalid"


def type_of(value: Any) -> str:
    """Return the type's name, for messages and ``%T``."""
    if isinstance(value, Slice | Map | Struct):
        return value.type_name
    names: dict[str, str] = {"float": "float64", "uint": "uint8", "invalid": "<nil>"}
    kind = kind_of(value)
    return names.get(kind, kind)


def as_bytes(text: str) -> bytes:
    """Return the bytes of a text, raw ones among them."""
    return text.encode("utf-8", "surrogateescape")


def size_of(value: Any) -> int:
    """Return what ``len`` gives.

    Raises:
        GoTemplateFault: the value has no length.
    """
    if isinstance(value, str):
        return len(as_bytes(value))
    if isinstance(value, Map):
        return len(value.of)
    if isinstance(value, Slice):
        return len(value)
    if value is NIL:
        raise GoTemplateFault("len of nil pointer")
    msg = f"len of type {type_of(value)}"
    raise GoTemplateFault(msg)


def is_true(value: Any) -> bool:
    """Return Go's truth of a value: whether it is not empty."""
    if isinstance(value, Struct):
        return True
    if isinstance(value, Slice):
        return len(value) > 0
    if isinstance(value, Map):
        return bool(value.of)
    return not is_invalid(value) and bool(value)


def weight(value: Any, limit: int) -> int:
    """Return about how many characters a value takes when it is written out.

    Counting ends soon after ``limit``.
    """
    size, waiting = 0, [value]
    while waiting and size <= limit:
        item = waiting.pop()
        size += len(item) if isinstance(item, str) else 8
        if isinstance(item, Slice):
            waiting.extend(item.items())
        elif isinstance(item, Map | Struct):
            waiting.extend(item.of.keys())
            waiting.extend(item.of.values())
            if isinstance(item, Struct):
                waiting.extend(item.extra.values())
    return size


_BASIC = frozenset({"bool", "int", "uint", "float", "string"})


def equal(left: Any, right: Any) -> bool:
    """Return ``left == right``.

    Raises:
        GoTemplateFault: values of these types cannot be compared.
    """
    first, second = kind_of(left), kind_of(right)
    if first in _BASIC and (first == second or {first, second} == {"int", "uint"}):
        return bool(left == right)
    if first in _BASIC or second in _BASIC:
        if "invalid" in (first, second):
            return False
        raise _incompatible(left, right)
    if "invalid" in (first, second):
        return _is_nil(left) and _is_nil(right)
    if first != second:
        raise _incompatible(left, right)
    if _is_nil(left) or _is_nil(right):
        return _is_nil(left) and _is_nil(right)
    if first != "struct" or not _comparable(right):
        msg = f"non-comparable type {type_of(right)}"
        raise GoTemplateFault(msg)
    return left is right or _equal_structs(left, right)


def less(left: Any, right: Any) -> bool:
    """Return ``left < right``.

    Raises:
        GoTemplateFault: values of these types have no order.
    """
    first, second = kind_of(left), kind_of(right)
    if first not in _BASIC or second not in _BASIC:
        raise GoTemplateFault("invalid type for comparison")
    if first != second and {first, second} != {"int", "uint"}:
        raise _incompatible(left, right)
    if first == "bool":
        raise GoTemplateFault("invalid type for comparison")
    if first == "string":
        return as_bytes(left) < as_bytes(right)
    return bool(left < right)


def _is_nil(value: Any) -> bool:
    if isinstance(value, Slice | Map):
        return value.is_nil
    return is_invalid(value)


def _comparable(value: Any) -> bool:
    """Return whether a struct holds nothing that Go cannot compare."""
    if value.is_pointer:
        return True
    return not any(
        isinstance(item, Slice | Map)
        or (isinstance(item, Struct) and not _comparable(item))
        for item in value.of.values()
    )


def _equal_structs(left: Struct, right: Struct) -> bool:
    if left.is_pointer or left.type_name != right.type_name:
        return False
    return all(equal(left.of[name], right.of[name]) for name in left.of)


def _incompatible(left: Any, right: Any) -> GoTemplateFault:
    return GoTemplateFault(
        f"incompatible types for comparison: {type_of(left)} and {type_of(right)}"
    )
