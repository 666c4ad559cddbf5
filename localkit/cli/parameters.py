"""Parameters that several commands take, and what completes them.

Completion functions serve shells (click's own completion) and notebooks alike.
They never raise: a damaged store must not break the Tab key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from localkit.cli.files import complete_names_and_files
from localkit.errors import LocalkitError, UsageError
from localkit.gguf.types import FILE_TYPES
from localkit.kit import default_kit

_TASK_FILES = (".toml", ".csv", ".jsonl", ".parquet")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def model_argument(*, required: bool = True) -> Decorator:
    """Return the argument MODEL: a ref that completes from the store."""
    metavar = "MODEL" if required else "[MODEL]"
    return click.argument(
        "model", required=required, metavar=metavar, shell_complete=complete_model
    )


def complete_model(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the refs in the store that begin with what was typed."""
    try:
        refs = [str(listing.ref) for listing in default_kit().store.list()]
    except (LocalkitError, OSError):
        return []
    return [ref for ref in refs if ref.lower().startswith(incomplete.lower())]


def complete_quant(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the quants that begin with what was typed, or with its last item."""
    done, comma, last = incomplete.rpartition(",")
    return [
        f"{done}{comma}{label}"
        for label in sorted(FILE_TYPES.values())
        if label.lower().startswith(last.lower())
    ]


def complete_task(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the packaged tasks, and the files of tasks, that begin so."""
    from localkit.evals.tasks.catalog import task_names

    files = complete_names_and_files(lambda _: False, *_TASK_FILES)
    return [name for name in task_names() if name.startswith(incomplete)] + files(
        context, parameter, incomplete
    )


def complete_text(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the packaged texts, and the files, that begin so."""
    from localkit.evals.tasks.catalog import text_names

    files = complete_names_and_files(lambda _: False)
    return [name for name in text_names() if name.startswith(incomplete)] + files(
        context, parameter, incomplete
    )


def complete_source(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return how each kind of source begins."""
    return [scheme for scheme in ("hf.co/", "pkg:") if scheme.startswith(incomplete)]


def tensor_type(text: str) -> tuple[str, str]:
    """Return the pattern and type of ``PATTERN=TYPE``.

    Raises:
        UsageError: the text is something else.
    """
    pattern, equals, name = text.rpartition("=")
    if not (pattern and equals and name):
        msg = f"--tensor-type is '{text}'"
        raise UsageError(msg, hint="give PATTERN=TYPE, such as ffn_down=q6_K")
    return pattern, name
