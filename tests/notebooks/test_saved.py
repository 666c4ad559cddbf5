"""What the committed notebooks look like on a code host; nbval runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# A saved notebook is everybody's: it names no place on the machine it ran on.
PLACES = re.compile(r"/(?:home|root|tmp|Users|work|mnt|opt|usr|var)/\w|site-packages")
MAX_SIZE = 2 << 20


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_the_two_that_the_readme_names() -> None:
    assert {"quant_comparison", "quickstart"} <= {path.stem for path in NOTEBOOKS}


def test_it_was_executed_from_top_to_bottom(notebook: NotebookNode) -> None:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_only_cells_that_say_so_fail_and_they_fail_in_one_line(
    notebook: NotebookNode,
) -> None:
    for cell in code_cells(notebook):
        errors = [out for out in cell.outputs if out.output_type == "error"]
        expected = "raises-exception" in cell.metadata.get("tags", [])
        assert bool(errors) == expected, cell.source
        assert all(len(error.traceback) == 1 for error in errors)


def test_it_says_nothing_on_stderr(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        assert not [out for out in cell.outputs if out.get("name") == "stderr"]


def test_no_output_is_a_widget(notebook: NotebookNode) -> None:
    assert "widgets" not in notebook.metadata
    assert "application/vnd.jupyter.widget-view+json" not in json.dumps(notebook)


def test_it_names_no_place_on_a_machine(notebook: NotebookNode) -> None:
    text = json.dumps([list(cell.outputs) for cell in code_cells(notebook)])
    found = PLACES.search(re.sub(r"data:image/png;base64,[\w+/=]+", "", text))
    assert found is None, found


def test_it_asks_nothing_of_the_network(notebook: NotebookNode) -> None:
    for cell in code_cells(notebook):
        for out in cell.outputs:
            html = out.get("data", {}).get("text/html", "")
            assert not re.search(r"<script|(?:src|href)=[\"']?(?:https?:)?//", html)


def test_it_is_small_enough_to_be_shown(path: Path) -> None:
    assert path.stat().st_size <= MAX_SIZE
