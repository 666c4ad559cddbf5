"""What only one room may do, found in the syntax trees of all the others."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.structure.source import package_files, room_path, tree, written_strings

if TYPE_CHECKING:
    from pathlib import Path

HTML_TAG = re.compile(
    r"</?(?:a|b|br|code|div|em|h[1-6]|hr|i|img|li|ol|p|pre|script"
    r"|section|small|span|strong|style|svg|table|t[dhr]|ul)[\s/>]"
)
STORE_FOLDER = re.compile(r"(?:^|/)(?:blobs|manifests)(?:/|$)|^sha256-$")
DISPLAY_CLASSES = {"HTML", "Javascript", "Markdown", "SVG"}

MAKES_ADDRESSES = "store/registry/endpoints.py"
"""Makes routes of a registry, which look like the store's folders and are none."""

MAY_SET = {"runtime/library.py": {"GGML_NO_BACKTRACE"}}
"""Variables that a room sets for the engine, before its library loads."""


def test_S6_only_the_layout_turns_a_ref_or_digest_into_a_path() -> None:
    found = {
        f"{room_path(path)}:{line}: {text!r}"
        for path in package_files()
        if room_path(path) not in {"store/layout.py", MAKES_ADDRESSES}
        for line, text in written_strings(path)
        if STORE_FOLDER.search(text)
    }
    assert found == set()


def test_N1_html_outside_render_is_constant_markup_that_escapes_what_it_is_given() -> (
    None
):
    # `Markup("<b>{}</b>").format(text)` escapes; an f-string or a sum does not.
    found = set()
    for path in package_files():
        if room_path(path).startswith("render/"):
            continue
        constants = set()
        for call in calls_of("Markup", path):
            argument = call.args[0]
            if isinstance(argument, ast.Constant):
                constants.add((argument.lineno, argument.value))
            else:
                found.add(f"{room_path(path)}:{call.lineno}: {ast.unparse(call)}")
        found |= {
            f"{room_path(path)}:{line}: {text!r}"
            for line, text in written_strings(path)
            if HTML_TAG.search(text) and (line, text) not in constants
        }
    assert found == set()


def test_N1_nobody_wraps_text_in_an_html_or_markdown_display_object() -> None:
    found = {
        f"{room_path(path)}:{call.lineno}: {name}"
        for path in package_files()
        for name in DISPLAY_CLASSES
        for call in calls_of(name, path)
    }
    assert found == set()


def test_only_the_settings_read_the_environment() -> None:
    found = {
        f"{room_path(path)}: {ast.unparse(node)}"
        for path in package_files()
        if room_path(path) != "config.py"
        for node in ast.walk(tree(path))
        if touches_the_environment(node)
    }
    allowed = {
        entry
        for entry in found
        if any(
            entry.startswith(f"{room}:") and name in entry
            for room, names in MAY_SET.items()
            for name in names
        )
    }
    assert found - allowed == set()


def calls_of(name: str, path: Path) -> list[ast.Call]:
    """Return every call of ``name`` or ``something.name`` in a file."""
    return [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == name
    ]


def touches_the_environment(node: ast.AST) -> bool:
    """Whether this is ``os.getenv(…)`` or a use of ``os.environ``."""
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(name.name in {"environ", "getenv"} for name in node.names)
    if isinstance(node, ast.Subscript | ast.Call | ast.Compare):
        text = ast.unparse(node)
        return text.startswith(("os.environ", "os.getenv", "os.putenv"))
    return False
