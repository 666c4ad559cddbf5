"""Text that came from a model or a file, as Markdown that shows it and does no more.

For GitHub's dialect: what is escaped neither formats, links, mentions nor fetches.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.render.text import clean, escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

# Every mark that may open something inside a line: emphasis, links, images, HTML,
# entities, tables, formulas, strikethrough.
_MARKS = re.compile(r"[\\`*\[\]<>|~$&]")
# Between letters and digits an underscore is a letter: Q4_K_M stays readable.
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_AUTOLINK = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)|(@)")
_LINE_START = re.compile(r"^(?=[-+#=>!])")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def inline(text: str) -> str:
    """Return ``text`` as one line of Markdown without any markup of its own."""
    line = _UNDERSCORE.sub(r"\\_", _MARKS.sub(r"\\\g<0>", one_line(text)))
    line = _AUTOLINK.sub(_cut, line)
    return _LINE_START.sub(r"\\", _NUMBERED.sub(r"\1\\\2", line))


def code(text: str) -> str:
    """Return ``text`` as one line of code: all characters as they are.

    The choice for answers and questions: nothing in code is a link or a mention.
    """
    line = one_line(text)
    if not line:
        return ""
    fence = "`" * (_longest_run(line) + 1)
    gap = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{gap}{line}{gap}{fence}"


def block(text: str, *, language: str = "") -> str:
    """Return ``text`` as a fenced block, its lines kept."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{clean(text)}\n{fence}"


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, align: str = ""
) -> str:
    """Return a table; cells are Markdown already, on one line each.

    ``align`` has one of ``<`` and ``>`` per column; default: all to the left.
    """
    sides = ["--:" if side == ">" else "---" for side in align or "<" * len(heads)]
    lines = [heads, sides, *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def folded(summary: str, body: str) -> str:
    """Return a part that opens on a click; its body is Markdown already."""
    # Inside a block of HTML a backslash escapes nothing; the blank lines end it.
    head = escape(one_line(summary))
    return f"<details><summary>{head}</summary>\n\n{body}\n\n</details>"


def _cell(text: str) -> str:
    """Return a cell whose bars do not end it, inside code too."""
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _cut(match: re.Match[str]) -> str:
    """Return what GitHub would link, taken apart by an empty comment."""
    scheme, colon, www, dot, _ = match.groups()
    if scheme:
        return f"{scheme}\\{colon}"
    return f"{www}\\{dot}" if www else "@<!-- -->"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
