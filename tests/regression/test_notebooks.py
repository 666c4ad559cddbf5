"""Saved notebooks against fresh runs, through pytest and real kernels."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.regression import edit, run_pytest, write_notebook

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

ASK = "model.generate('{}', temperature=0, max_tokens=24)"
CELLS: list[str | tuple[str, list[str]]] = [
    "import localkit\nmodel = localkit.load('tiny:f16', n_ctx=128)",
    ASK.format("the same"),
    ASK.format("low bits"),
    ASK.format("another text"),
    "localkit.load('tiny:f16').generate('another model', temperature=0, max_tokens=24)",
    "model.generate('a drawn seed', temperature=1.0, max_tokens=24)",
    ("1 / 0", ["raises-exception"]),
    ("open('ran', 'w').close()", ["localkit-skip"]),
    "n = 2\nn",
    ASK.format("the same"),
    "localkit.load('gone:latest')",
    "localkit.load('gone:latest').generate('x')",
]


def results(ran: subprocess.CompletedProcess[str]) -> dict[int, str]:
    """Return PASSED, FAILED or SKIPPED by number of the cell."""
    found = re.findall(r"ipynb::localkit\[(\d+)\] (\w+)", ran.stdout)
    return {int(number): word for number, word in found}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_home: Path) -> Path:
    """Return a notebook whose outputs `--localkit-update` wrote."""
    folder = tmp_path_factory.mktemp("saved")
    path = write_notebook(folder / "a.ipynb", CELLS[:10])
    before = json.loads(path.read_text(encoding="utf-8"))
    ran = run_pytest(
        folder, "--localkit", "--localkit-update", LOCALKIT_HOME=str(tiny_home)
    )
    assert ran.returncode == 0, ran.stdout
    assert "cells updated" in ran.stdout
    after = json.loads(path.read_text(encoding="utf-8"))
    for cell in (*before["cells"], *after["cells"]):
        cell.pop("outputs")
        cell.pop("execution_count")
    assert after == before
    assert not (folder / "ran").exists()
    return path


@pytest.mark.timeout(300)
def test_a_changed_quant_fails_readably_and_low_bits_pass_within_bands(
    saved: Path, tiny_home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.ipynb"
    path.write_bytes(saved.read_bytes())
    texts: dict[int, str] = {}

    def change(cells: list[dict[str, Any]]) -> None:
        texts.update({n: "".join(text_of(cells[n])) for n in (1, 2, 3)})
        runtime(cells[2])["features"] += " AVX9"
        text_of(cells[2])[:] = [texts[2].replace(texts[2][5], "é", 1)]
        text_of(cells[3])[:] = [texts[3][:6] + "é" + texts[3][6:]]
        cells[4]["source"] = [
            line.replace("tiny", "other") for line in cells[4]["source"]
        ]
        for source in CELLS[10:]:
            cells.append({**cells[8], "id": str(source), "source": [source]})

    edit(path, change)
    ran = run_pytest(
        tmp_path,
        "--localkit",
        "--localkit-report=report.html",
        "-rs",
        LOCALKIT_HOME=str(tiny_home),
    )
    said = results(ran)
    assert said == {
        **dict.fromkeys((1, 2, 3, 6, 7, 9, 10), "PASSED"),
        **dict.fromkeys((4, 5), "FAILED"),
        **dict.fromkeys((8, 11, 12), "SKIPPED"),
    }, ran.stdout
    out = ran.stdout
    assert re.search(
        r"✗ the weights changed: F16 sha256:\w{12}… → F16 sha256:\w{12}…", out
    )
    assert "though nothing that it was made with changed" in out
    assert "word by word ([-saved-] {+fresh+}):" in out
    assert re.search(r"In\[3\]: the instruction sets changed: .*AVX9 → ", out)
    assert "model 'gone:latest' is not in the store" in out
    assert "tagged localkit-skip" in out
    assert "3 cells" not in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 of 9 cells changed" in page
    assert "<del" in page
    assert not (tmp_path / "ran").exists()


def text_of(cell: dict[str, Any]) -> list[str]:
    text = cell["outputs"][0]["data"]["text/plain"]
    assert isinstance(text, list)
    return text


def runtime(cell: dict[str, Any]) -> dict[str, Any]:
    found = cell["outputs"][0]["metadata"]["localkit"]["receipt"]["runtime"]
    assert isinstance(found, dict)
    return found


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_N5_a_kernel_that_dies_fails_what_comes_after_it(tmp_path: Path) -> None:
    cells = ["1", "import os\nos._exit(1)", "2"]
    path = write_notebook(tmp_path / "a.ipynb", cells)
    before = path.read_bytes()
    # nbval collects the same file beside it.
    ran = run_pytest(
        tmp_path,
        "--localkit",
        "--localkit-update",
        "--nbval",
        "--nbval-lax",
        "-k",
        "localkit",
    )
    assert results(ran) == {1: "PASSED", 2: "FAILED", 3: "FAILED"}, ran.stdout
    assert "the kernel died in In[2]" in ran.stdout
    assert "not updated, because localkit[2], localkit[3] failed" in ran.stdout
    assert "3 deselected" in ran.stdout
    assert path.read_bytes() == before


@pytest.mark.thorough
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_changed_quant_of_real_weights_fails(
    smollm2_gguf: Path, tmp_path: Path
) -> None:
    from localkit.config import Settings
    from localkit.kit import Kit

    home = tmp_path / "home"
    kit = Kit(Settings(home=home))
    kit.store.add(smollm2_gguf, "smollm2:q4_1")
    kit.store.copy("smollm2:q4_1", "asked:latest")
    cells = [
        "%load_ext localkit",
        "%%llm asked -t 0 --max-tokens 40\nWhy is the sky blue?",
    ]
    path = write_notebook(tmp_path / "a.ipynb", cells)
    words = ["--localkit", path.name]
    for update in (["--localkit-update"], []):
        ran = run_pytest(tmp_path, *words, *update, LOCALKIT_HOME=str(home))
        assert results(ran) == {1: "PASSED", 2: "PASSED"}, ran.stdout
    kit.quantize("smollm2:q4_1", "Q4_0", allow_requantize=True)
    kit.store.remove("asked:latest")
    kit.store.copy("smollm2:q4_0", "asked:latest")
    kit.close()
    ran = run_pytest(tmp_path, *words, LOCALKIT_HOME=str(home))
    assert results(ran) == {1: "PASSED", 2: "FAILED"}, ran.stdout
    assert "✗ the weights changed: Q4_1 sha256:" in ran.stdout
