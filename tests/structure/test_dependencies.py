"""What the library imports is declared, and what is declared is pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata

from tests.structure.source import ROOT, package_files, tree

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+-]+")


def canonical(requirement: str) -> str:
    """Return the name of a requirement as package indexes compare it."""
    name = re.split(r"[<>=!\[; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported() -> set[str]:
    """Return the top-level module of every import of the library."""
    modules = set()
    for path in package_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                modules |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    return {module.partition(".")[0] for module in modules}


def test_every_import_of_the_library_is_a_declared_dependency() -> None:
    owners = metadata.packages_distributions()
    declared = {canonical(name) for name in PROJECT["dependencies"]}
    for extra in ("datasets", "gpu", "inspect", "lm-eval", "pytest"):
        declared |= {canonical(name) for name in EXTRAS[extra]}
    foreign = imported() - set(sys.stdlib_module_names) - {"localkit"}
    undeclared = {
        module
        for module in foreign
        # Of an extra that is not here, nobody knows the owner: its name must do.
        if not {canonical(owner) for owner in owners.get(module, (module,))} & declared
    }
    assert undeclared == set()


def test_the_constraints_name_versions_and_no_place() -> None:
    assert constraints()
    assert [line for line in constraints() if not PINNED.fullmatch(line)] == []


def test_every_dependency_is_pinned() -> None:
    wanted = {*PROJECT["dependencies"]}.union(*EXTRAS.values())
    pinned = {canonical(line) for line in constraints()}
    assert {canonical(name) for name in wanted} <= pinned
