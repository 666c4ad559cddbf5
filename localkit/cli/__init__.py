"""The commands of localkit: one Click group for terminal and notebook.

A package, not one file: eleven commands with their options are past 500 lines.
Importing it registers them all; what they work with is imported when they run.
"""

from localkit.cli import (
    bench,
    compare,
    create,
    evaluate,
    export,
    hub,
    imatrix,
    importing,
    licences,
    lm_eval,
    lock,
    log,
    models,
    perplexity,
    quantize,
    registry,
    resident,
    run,
    runs,
    show,
    store,
    tasks,
)
from localkit.cli.group import main

__all__ = [
    "bench",
    "compare",
    "create",
    "evaluate",
    "export",
    "hub",
    "imatrix",
    "importing",
    "licences",
    "lm_eval",
    "lock",
    "log",
    "main",
    "models",
    "perplexity",
    "quantize",
    "registry",
    "resident",
    "run",
    "runs",
    "show",
    "store",
    "tasks",
]
