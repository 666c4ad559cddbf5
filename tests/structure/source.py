"""The project's own files, as the structure tests read them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "localkit"


def package_files() -> list[Path]:
    """Return every Python file of the library."""
    return sorted(PACKAGE.rglob("*.py"))


def room_path(path: Path) -> str:
    """Return ``store/layout.py`` for a file of the library."""
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def written_strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and value of every string that is not a docstring."""
    module = tree(path)
    described = {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in described
        ):
            yield node.lineno, node.value
