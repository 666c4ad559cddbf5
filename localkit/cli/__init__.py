"""The commands of localkit: one Click group for terminal and notebook.

A package, not one file: eleven commands with their options are past 500 lines.
Importing it registers them all; what they work with is imported when they run.
"""

from localkit.cli import (
    compare,
    create,
    export,
    hub,
    imatrix,
    importing,
    licences,
    lock,
    log,
    models,
    quantize,
    registry,
    resident,
    run,
    show,
    store,
)
from localkit.cli.group import main

__all__ = [
    "compare",
    "create",
    "export",
    "hub",
    "imatrix",
    "importing",
    "licences",
    "lock",
    "log",
    "main",
    "models",
    "quantize",
    "registry",
    "resident",
    "run",
    "show",
    "store",
]
