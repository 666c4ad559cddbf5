"""The functions that a template may call."""

from __future__ import annotations

from typing import Final

BUILTINS: Final = frozenset(
    [
        "and",
        "or",
        "not",
        "index",
        "slice",
        "len",
        "print",
        "printf",
        "println",
        "html",
        "urlquery",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
    ]
)
"""Of ``text/template``; ``call`` and ``js`` are left out: no model uses them."""
OF_OLLAMA: Final = frozenset(
    ["json", "currentDate", "yesterdayDate", "toTypeScriptType"]
)
FUNCTIONS: Final = BUILTINS | OF_OLLAMA
