"""Names of the user's namespace, where a command runs in a notebook.

An option may name a Python value: it is looked up, never evaluated as an expression.
A terminal has no namespace.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = object()


def namespace(context: click.Context | None = None) -> Mapping[str, object]:
    """Return the names that the command at hand may use; none in a terminal."""
    context = context or click.get_current_context(silent=True)
    names = getattr(context.obj, "names", None) if context is not None else None
    return names if isinstance(names, Mapping) else {}


def find(name: str, names: Mapping[str, object], default: object = None) -> object:
    """Return the value of ``name``, which may reach into a module: ``forms.Person``."""
    first, *rest = name.split(".")
    if not is_name(name) or first not in names:
        return default
    value = names[first]
    for part in rest:
        value = getattr(value, part, _MISSING)
        if value is _MISSING:
            return default
    return value


def is_name(text: str) -> bool:
    """Return whether ``text`` is a Python name, or several joined by dots."""
    return all(
        part.isidentifier() and not keyword.iskeyword(part) for part in text.split(".")
    )


def named(name: str, names: Mapping[str, object], *, option: str) -> object:
    """Return the value of ``name``.

    Raises:
        UsageError: there is none; says so and which option asked.
    """
    value = find(name, names, _MISSING)
    if value is _MISSING:
        where = "in this notebook" if names else "in a terminal"
        msg = f"{option} names {name[:60]!r}, and there is no such name {where}"
        hint = "run the cell that defines it" if names else "use it in a notebook"
        raise UsageError(msg, hint=hint)
    return value


def complete_names(
    fits: Callable[[object], bool] = lambda _: True,
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what completes Python names whose value ``fits``, or the last of a list.

    It never raises: a strange object in the namespace must not break the Tab key.
    """

    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[str]:
        done, comma, last = incomplete.rpartition(",")
        return [
            f"{done}{comma}{name}"
            for name, value in sorted(
                namespace(context).items(), key=lambda one: one[0]
            )
            if name.startswith(last) and not name.startswith("_") and _fits(value, fits)
        ]

    return complete


def _fits(value: object, fits: Callable[[object], bool]) -> bool:
    try:
        return bool(fits(value))
    except Exception:  # a property or __getattr__ of the user's own
        return False
