"""What the documents say is there."""

from __future__ import annotations

import re

import pytest

from tests.structure.source import ROOT


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "AGENTS.md"])
def test_every_make_command_that_a_document_names_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", read(document), re.MULTILINE))
    assert named
    assert named <= targets


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_a_document_links_to_exists(document: str) -> None:
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", read(document)))
    assert {link for link in links if not (ROOT / link).exists()} == set()


def test_every_design_note_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)]+\.md)\)", read("design/000-index.md")))
    notes = {path.name for path in (ROOT / "design").glob("*.md")}
    assert linked == notes - {"000-index.md"}


def rows() -> set[str]:
    """Return the numbers in the table of threats."""
    table = read("design/003-threats.md")
    return set(re.findall(r"^\| ([A-Z]\d+) \|", table, re.MULTILINE))


def rows_with_a_test() -> set[str]:
    """Return the numbers that names of tests carry."""
    return {
        row
        for path in (ROOT / "tests").rglob("test_*.py")
        for names in re.findall(
            r"def test_((?:[A-Z]\d+_)+)", path.read_text(encoding="utf-8")
        )
        for row in names.rstrip("_").split("_")
    }


def test_every_threat_that_a_test_names_is_in_the_table() -> None:
    assert rows_with_a_test()
    assert rows_with_a_test() <= rows()


@pytest.mark.parametrize(
    "promised",
    [r"S\d+", r"P\d+", r"L\d+"],
    ids=["stores", "registries", "privacy"],
)
def test_every_row_of_a_part_that_is_promised_has_a_test(promised: str) -> None:
    part = {row for row in rows() if re.fullmatch(promised, row)}
    assert part
    assert part - rows_with_a_test() == set()


def test_the_notes_for_agents_stay_short() -> None:
    assert len(read("AGENTS.md").splitlines()) < 60
