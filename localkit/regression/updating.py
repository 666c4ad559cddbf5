"""Write fresh outputs into a notebook, and leave every other byte where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.io.atomic import write_atomic
from localkit.regression.subjects import PROBE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from localkit.regression.records import Probe


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a cell showed when it was run again."""

    outputs: Sequence[Mapping[str, Any]]
    count: int | None
    """Number that the kernel gave it."""


def with_probe(
    outputs: Sequence[Mapping[str, Any]], probe: Probe
) -> list[dict[str, Any]]:
    """Return the outputs with what the machine could do, where they have figures."""
    return [
        {
            **output,
            "metadata": {
                **output["metadata"],
                "localkit": {
                    **output["metadata"]["localkit"],
                    PROBE: probe.model_dump(),
                },
            },
        }
        if output.get("metadata", {}).get("localkit")
        else dict(output)
        for output in outputs
    ]


def write_outputs(path: Path, fresh: Mapping[int, Fresh]) -> bool:
    """Put outputs into the cells of a notebook; return whether the file changed.

    The file keeps its indent, its order of keys and what else it holds. A cell whose
    outputs are what they were keeps its bytes.

    Args:
        path: The notebook.
        fresh: By place of the cell in the notebook.

    Raises:
        UsageError: the notebook is of an old format, or is not JSON.
        OSError: it cannot be written; it is as it was.
    """
    from nbformat.notebooknode import from_dict
    from nbformat.v4.rwbase import split_lines, strip_transient

    text = path.read_bytes().decode("utf-8")
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
    except (ValueError, KeyError, TypeError):
        msg = f"{path.name} is of a format that cannot be updated in place"
        raise UsageError(msg, hint="open it in Jupyter and save it") from None
    for place, one in fresh.items():
        cell = {
            "cell_type": "code",
            "metadata": {},
            "source": "",
            "outputs": from_dict([dict(output) for output in one.outputs]),
        }
        shell = from_dict({"metadata": {}, "cells": [cell]})
        outputs = split_lines(strip_transient(shell)).cells[0].outputs
        cells[place]["outputs"] = json.loads(json.dumps(outputs, sort_keys=True))
        if one.count is not None:
            cells[place]["execution_count"] = one.count
    written = (
        json.dumps(
            notebook,
            indent=_indent(text),
            ensure_ascii=text.isascii() and "\\u" in text,
            separators=(",", ": ") if _indent(text) is not None else (", ", ": "),
        )
        + text[len(text.rstrip()) :]
    )
    if written == text:
        return False
    write_atomic(path, written.encode())
    return True


def _indent(text: str) -> str | None:
    """Return what the lines of the file are indented with; None: it has one line."""
    _, newline, rest = text.partition("\n")
    if not newline or not rest.strip():
        return None
    return rest[: len(rest) - len(rest.lstrip(" \t"))] or ""
