"""How the notebooks read: what one learns, what to change, and where the links lead."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
LINK = re.compile(r"\]\(([^)#]+)\)")


def texts(path: Path) -> list[str]:
    """Return the Markdown cells of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_there_is_one_for_each_thing_that_people_come_for() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {
        "quickstart",
        "playground",
        "quant_comparison",
        "your_prompts",
        "token_diff",
        "structured_output_and_tools",
        "embeddings_and_rag",
        "writing_a_task",
        "regression",
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_opens_with_what_one_learns_and_ends_with_what_to_change(
    path: Path,
) -> None:
    cells = texts(path)
    assert cells[0].startswith("# ")
    assert re.search(r"\byou learn\b", cells[0], re.IGNORECASE)
    assert re.search(r"^## What to change$", cells[-1], re.MULTILINE)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_links_lead_to_files_that_are_there(path: Path) -> None:
    for text in texts(path):
        for target in LINK.findall(text):
            assert "://" in target or (HERE / target).is_file(), target


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("playground", ["q4_1", "q2_k", "Prompt", "Votes"]),
        ("token_diff", ["q4_1", "q4_0", "KL", "their own answers part"]),
    ],
)
def test_the_saved_record_says_what_the_widget_showed(
    name: str, words: list[str]
) -> None:
    notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    shown = [out["data"].get("text/html", "") for out in outputs if "data" in out]
    assert any(all(word in html for word in words) for html in shown)
