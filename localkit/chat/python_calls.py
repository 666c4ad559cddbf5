"""Tool calls written as Python: ``[get_weather(city='Paris', days=3)]``."""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

# A thousand characters take about 0.1 ms, and memory for each node.
_MAX_CHARS = 20_000
_CONSTANTS = {"true": True, "false": False, "null": None}


def read_python_calls(code: str) -> list[tuple[str, dict[str, Any]]]:
    """Return name and arguments of each call; nothing of ``code`` is run.

    Raises:
        ValueError: it is no call of plain values by name, nor a list of such.
    """
    if len(code) > _MAX_CHARS:
        msg = f"it has {len(code):,} characters"
        raise ValueError(msg)
    try:
        with warnings.catch_warnings():
            # About escapes in the model's code: not the user's to mend.
            warnings.simplefilter("ignore")
            value = ast.parse(code.strip(), mode="eval").body
        nodes = value.elts if isinstance(value, ast.List) else [value]
        return [_call(node) for node in nodes]
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        msg = "it is no Python"
        raise ValueError(msg) from error


def _call(node: ast.expr) -> tuple[str, dict[str, Any]]:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError
    arguments = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError
        value = ast.literal_eval(_Literals().visit(keyword.value))
        arguments[keyword.arg] = json.loads(json.dumps(value, allow_nan=False))
    return ast.unparse(node.func), arguments


class _Literals(ast.NodeTransformer):
    """Put values for the names that JSON has for constants, and take no other."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in _CONSTANTS:
            raise ValueError
        return ast.copy_location(ast.Constant(_CONSTANTS[node.id]), node)
