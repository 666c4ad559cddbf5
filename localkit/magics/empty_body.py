"""``%%llm --help`` and ``%%llm -f FILE``: cells that need no text under the line."""

from __future__ import annotations

import re

_LINE = re.compile(r"%%llm(?:\s|$)")


def keep_empty_body(lines: list[str]) -> list[str]:
    """Return the cell with an empty line under a bare ``%%llm`` line.

    IPython refuses a cell magic whose body is the empty text before it is called. The
    magic itself says what is missing, where something is.
    """
    if not lines or not _LINE.match(lines[0]) or "".join(lines[1:]).strip():
        return lines
    return [lines[0].rstrip("\n") + "\n", "\n"]
