"""A file holds one thing: no file of the project is longer than 500 lines."""

from __future__ import annotations

from tests.structure.source import ROOT

LONGEST = 500


def test_no_file_is_longer_than_500_lines() -> None:
    folders = ("localkit", "tests", "scripts", "evals")
    files = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(
            path.read_text(encoding="utf-8").splitlines()
        )
        for path in files
    }
    assert lengths
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
