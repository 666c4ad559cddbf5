"""What one render of a chat template may spend, and what an operation will cost."""

from __future__ import annotations

import time
from contextvars import ContextVar
from string import Formatter
from typing import TYPE_CHECKING

from jinja2.exceptions import SecurityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Sized

MAX_WORK = 1 << 26
"""Characters, items and steps that one render may spend on its own."""
STEP_COST = 64
"""Charge of a loop turn, a call or a filter: about a million of them fit."""
MAX_VALUE = 1 << 20
"""Most characters or items that a template may make at once."""
MAX_SECONDS = 2.0
"""A chat template renders in about a millisecond."""


class OverBudget(SecurityError):
    """The template asks for more work than a chat template ever needs."""


class Budget:
    """What is left to spend; grows with what the messages bring along."""

    __slots__ = ("_deadline", "_left", "max_value")

    def __init__(self, content_size: int) -> None:
        """Start full, for messages of ``content_size`` characters in all."""
        self.max_value = MAX_VALUE + 4 * content_size
        self._left = MAX_WORK + 64 * content_size
        self._deadline = time.monotonic() + MAX_SECONDS

    def charge(self, size: int = 0) -> None:
        """Pay for a step that takes or makes ``size`` characters or items.

        Raises:
            OverBudget: the size is out of range, or nothing is left.
        """
        if size > self.max_value:
            msg = f"it makes a value of more than {self.max_value:,} characters"
            raise OverBudget(msg)
        self._left -= STEP_COST + size
        if self._left < 0 or time.monotonic() > self._deadline:
            msg = "it takes more steps than a chat template needs"
            raise OverBudget(msg)

    def charge_text(self, value: object) -> None:
        """Pay for ``value`` as text, values inside it included."""
        self.charge(text_size(value, self.max_value))


_current: ContextVar[Budget] = ContextVar("budget")


def open_budget(content_size: int) -> Budget:
    """Return a full budget, which the render that follows in this context uses."""
    budget = Budget(content_size)
    _current.set(budget)
    return budget


def current_budget() -> Budget:
    """Return the budget of the render in progress."""
    return _current.get()


def length(value: object) -> int:
    """Return how many characters or items ``value`` itself holds."""
    return len(value) if isinstance(value, str | bytes | list | tuple | dict) else 1


def text_size(value: object, limit: int) -> int:
    """Return about how many characters ``value`` takes when written out.

    Counting ends soon after ``limit``: lists that hold each other many times over
    are small in memory and endless as text.
    """
    size, waiting = 0, [value]
    while waiting and size <= limit:
        item = waiting.pop()
        size += length(item)
        if isinstance(item, int):
            size += item.bit_length() // 3
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
    return size


def operator_size(operator: str, left: object, right: object) -> int:
    """Return about how large ``left operator right`` is, before it is made.

    Raises:
        OverBudget: ``%`` formats a text, where a width makes any size.
    """
    if operator == "%" and isinstance(left, str | bytes):
        msg = "it formats a text with %"
        raise OverBudget(msg)
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return left.bit_length() * max(right, 1)
        return left.bit_length() + right.bit_length()
    if operator == "*":
        repeated, times = (left, right) if isinstance(right, int) else (right, left)
        return length(repeated) * times if isinstance(times, int) else 0
    return length(left) + length(right)


# Names of the arguments that decide how large the result is, in order.
_SIZING = {
    "replace": ("old", "new"),
    "indent": ("width",),
    "batch": ("linecount",),
}


def call_size(
    name: str,
    subject: object,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> int:
    """Return about how large a method or filter's result is, before it is made.

    ``subject`` is what the filter stands behind, or what the method belongs to.
    Zero when it cannot be much larger than what goes in.
    """
    if name not in _SIZING:
        return 0
    names = _SIZING[name][len(args) :]
    given = [*args, *(kwargs[key] for key in names if key in kwargs)]
    if name == "replace" and len(given) >= 2:
        text, old, new = str(subject), str(given[0]), str(given[1])
        return len(text) + text.count(old) * len(new)
    if name == "indent" and given:
        width = given[0] if isinstance(given[0], int) else len(str(given[0]))
        return width * (1 + str(subject).count("\n"))
    if name == "batch" and given and isinstance(given[0], int):
        return given[0]
    return 0


def join_size(separator: object, items: Sized) -> int:
    """Return how many characters the separators of a joined text take."""
    return len(str(separator)) * len(items)


def plain_fields(pattern: str) -> int:
    """Return how many values a ``str.format`` pattern puts in place.

    Raises:
        OverBudget: a field does more than name a value: a width makes any size.
    """
    n_fields = 0
    for _, name, spec, conversion in Formatter().parse(pattern):
        if name is not None:
            n_fields += 1
            if spec or conversion or not (name == "" or name.isalnum()):
                msg = "it formats a text with more than plain {} fields"
                raise OverBudget(msg)
    return n_fields
