"""New baselines leave every other byte of a notebook where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import UsageError
from localkit.regression.updating import Fresh, write_outputs
from tests.fixtures.regression import edit, shown, write_notebook

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = write_notebook(tmp_path / "a.ipynb", ["1", "2", ("é", ["tag"])])
    edit(path, lambda cells: cells[0].update(outputs=[shown("one\ntwo\n")]))
    edit(path, lambda cells: cells[0].update(metadata={"z": 1, "a": {"é": [1, 2]}}))
    return path


def test_the_same_outputs_change_no_byte(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    write_outputs(notebook, {0: Fresh(cells[0]["outputs"], None)})
    before = notebook.read_bytes()
    assert not write_outputs(notebook, {0: Fresh([shown("one\ntwo\n")], None)})
    assert notebook.read_bytes() == before


def test_only_outputs_and_their_number_change(notebook: Path) -> None:
    before = json.loads(notebook.read_text(encoding="utf-8"))
    assert write_outputs(notebook, {1: Fresh([shown("new\nlines")], 7)})
    after = json.loads(notebook.read_text(encoding="utf-8"))
    data = after["cells"][1].pop("outputs")[0]["data"]
    assert data == {"text/plain": ["new\n", "lines"]}
    assert after["cells"][1].pop("execution_count") == 7
    before["cells"][1].pop("outputs")
    before["cells"][1].pop("execution_count")
    assert after == before
    assert list(after["cells"][0]["metadata"]) == ["z", "a"]


@pytest.mark.parametrize("indent", [None, 1, 2, "\t"])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_way_a_file_is_written_stays(
    tmp_path: Path, indent: int | str | None, end: str, ascii_only: bool
) -> None:
    path = write_notebook(tmp_path / "a.ipynb", ["é", "2"])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = json.dumps(notebook, indent=indent, ensure_ascii=ascii_only) + end
    path.write_text(text, encoding="utf-8")
    assert not write_outputs(path, {0: Fresh([], None)})
    assert path.read_text(encoding="utf-8") == text


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    for text in ("{", "[]", '{"worksheets": []}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="cannot be updated in place"):
            write_outputs(path, {0: Fresh([], None)})
        assert path.read_text() == text
