"""Jinja for templates that strangers wrote: no way out, and a budget for work.

Jinja's own sandbox keeps a template away from Python. It does not bound what the
template computes: nested loops, ``'a' * 2_000_000_000`` and doubling strings run
until memory or patience ends. Here loops, calls, filters, concatenations and the
operators that can make something large are charged to a budget first.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from localkit.chat.budget import (
    OverBudget,
    call_size,
    current_budget,
    join_size,
    length,
    operator_size,
    plain_fields,
    text_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jinja2.parser import Parser
    from jinja2.runtime import Context

# They pad, repeat or draw by a number; no chat template needs them, and one call
# makes gigabytes.
_REFUSED_METHODS = {"center", "encode", "expandtabs", "format_map"}
_REFUSED_METHODS |= {"ljust", "rjust", "translate", "zfill"}
_REFUSED_FILTERS = {"center", "filesizeformat", "format", "pprint", "random"}
_REFUSED_FILTERS |= {"slice", "truncate", "urlize", "wordwrap", "xmlattr"}
_REFUSED_GLOBALS = {"cycler", "lipsum"}
_MAX_INDENT = 16
# They look at a list or take from it without writing its items out; a template may
# ask for `messages|length` at every message.
_LOOKING_FILTERS = {"attr", "batch", "count", "d", "default", "dictsort", "first"}
_LOOKING_FILTERS |= {"groupby", "items", "last", "length", "list", "map", "max", "min"}
_LOOKING_FILTERS |= {"reject", "rejectattr", "reverse", "select", "selectattr"}


class Refused(Exception):
    """The template does not take these messages (``raise_exception``)."""


class ChatSandbox(ImmutableSandboxedEnvironment):
    """The environment that chat templates are written for, with a budget.

    White space, loop controls, ``raise_exception``, ``strftime_now`` and ``tojson``
    are as in ``transformers.utils.chat_template_utils``.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        """Set up the names that chat templates use."""
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, GenerationTag],
            finalize=_output,
            # Constant expressions are computed at render time, where they cost.
            optimized=False,
        )
        for name in _REFUSED_GLOBALS:
            del self.globals[name]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now
        self.filters["tojson"] = _tojson
        self.filters["join"] = _join
        self.filters = {
            name: _charged(name, function)
            for name, function in self.filters.items()
            if name not in _REFUSED_FILTERS
        }
        self.filters["_counted"] = _counted

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        defer_init: bool = False,
    ) -> str:
        """Charge loops and ``~`` too, which the sandbox does not intercept."""
        charged = _Charging().visit(source).set_environment(self)
        return super()._generate(charged, name, filename, defer_init)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Keep methods of text away that pad or format."""
        if isinstance(obj, str | bytes) and attr in _REFUSED_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Let ``str.format`` put values in place, and nothing else."""
        sandboxed = super().wrap_str_format(value)
        if sandboxed is None or value.__name__ == "format_map":
            return None

        def format_charged(*args: Any, **kwargs: Any) -> str:
            budget = current_budget()
            n_fields = plain_fields(value.__self__)
            values = [*args, *kwargs.values()]
            budget.charge(n_fields * text_size(values, budget.max_value))
            return sandboxed(*args, **kwargs)

        return format_charged

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute ``left operator right`` if its size is within the budget."""
        current_budget().charge(operator_size(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(
        __self,  # noqa: N805 - as in jinja2: templates may pass `self=`
        __context: Context,
        __obj: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Call a method, macro or global function within the budget."""
        budget = current_budget()
        subject = getattr(__obj, "__self__", None)
        if isinstance(subject, str):
            if __obj.__name__ == "join" and args:
                args = (list(args[0]),)
                budget.charge(join_size(subject, args[0]))
            budget.charge(call_size(__obj.__name__, subject, args, kwargs))
        result = super().call(__context, __obj, *args, **kwargs)
        budget.charge(length(result))
        return result


class GenerationTag(Extension):
    """Pass ``{% generation %}`` through: it marks answers for training only."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return what stands between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Charging(NodeTransformer):
    """Put a charged filter where a template loops, and where it writes ``a ~ b``."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - by node name
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "join")


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _charged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that pays for what goes in and what comes out."""
    # Jinja puts the context or the environment first for filters that ask for it.
    at = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def charged(*args: Any, **kwargs: Any) -> Any:
        budget = current_budget()
        if name in _LOOKING_FILTERS:
            budget.charge(length(args[at]))
        else:
            budget.charge_text(args[at])
        budget.charge(call_size(name, args[at], args[at + 1 :], kwargs))
        result = function(*args, **kwargs)
        budget.charge(length(result))
        return result

    return charged


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items of a loop, charging each turn."""
    for item in items:
        current_budget().charge()
        yield item


def _output(value: Any) -> Any:
    """Charge what is about to be written."""
    current_budget().charge_text(value)
    return value


def _join(items: Iterable[Any], d: object = "") -> str:
    parts = [_output(item) for item in items]
    current_budget().charge(join_size(d, parts))
    return str(d).join(map(str, parts))


def _raise_exception(message: str) -> NoReturn:
    raise Refused(message)


def _strftime_now(pattern: str) -> str:
    if len(pattern) > 100:
        msg = f"it formats a date by {len(pattern)} characters"
        raise OverBudget(msg)
    return datetime.now().astimezone().strftime(pattern)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return JSON as transformers does: no HTML escapes, non-ASCII as it is."""
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        msg = f"it indents JSON by {indent}"
        raise OverBudget(msg)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
