"""A notebook's receipts against the store, and its answers made again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import localkit
from localkit.cli import main
from localkit.config import settings
from localkit.kit import Kit, set_default
from localkit.regression.replaying import replay
from localkit.runtime import library
from localkit.runtime.params import SamplingParams
from tests.fixtures.gguf import CHATML, write_tiny_llama
from tests.fixtures.regression import edit, shown, write_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEMPLATE = "tokenizer.chat_template"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    kit = Kit()
    path = write_tiny_llama(tmp_path / "tiny.gguf", metadata={TEMPLATE: CHATML})
    kit.store.add(path, "tiny:f16")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


@pytest.fixture
def notebook(kit: Kit, tmp_path: Path) -> Path:
    """Return a notebook in which tiny:f16 has answered."""
    answer = localkit.load("tiny:f16").chat("Hello", temperature=0, max_tokens=4)
    data, metadata = answer.bundle()
    output = {"output_type": "display_data", "data": data, "metadata": metadata}
    path = write_notebook(tmp_path / "a.ipynb", ["1", "%%llm tiny\nHello"])
    edit(path, lambda cells: cells[1].update(outputs=[output]))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def receipt(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    def inner(cells: list[dict[str, Any]]) -> None:
        change(cells[1]["outputs"][0]["metadata"]["localkit"]["receipt"])

    edit(path, inner)


def test_receipts_hold_where_nothing_changed(notebook: Path) -> None:
    result = run("verify", str(notebook))
    assert result.exit_code == 0, result.output
    assert "In[2]" in result.output
    assert "holds" in result.output


def test_another_file_under_the_same_name_is_found_and_the_way_back_said(
    notebook: Path, kit: Kit, tmp_path: Path
) -> None:
    kit.store.copy("tiny:f16", "kept:f16")
    kit.store.remove("tiny:f16")
    other = write_tiny_llama(
        tmp_path / "other.gguf", seed=1, metadata={TEMPLATE: CHATML + " "}
    )
    kit.store.add(other, "tiny:f16")
    result = run("verify", str(notebook))
    assert result.exit_code == 1
    assert "the weights changed: F16 sha256:" in result.output
    assert "the chat template changed" in result.output
    assert "localkit cp kept:f16 tiny:f16" in result.output


def test_a_model_that_is_gone_is_said(notebook: Path, kit: Kit) -> None:
    kit.store.remove("tiny:f16")
    result = run("verify", str(notebook))
    assert result.exit_code == 1
    assert "the model is not in the store" in result.output
    assert "has the weights F16 sha256:" in result.output


@pytest.mark.parametrize(("version", "code"), [("0.0.1", 0), ("99.0.0", 1)])
def test_a_newer_engine_is_said_and_an_older_one_fails(
    notebook: Path, version: str, code: int
) -> None:
    engine = f"llama-cpp-python {version} (llama.cpp 1)"
    receipt(notebook, lambda one: one["runtime"].update(engine=engine))
    result = run("verify", str(notebook))
    assert result.exit_code == code
    assert (
        f"the engine is {'older' if code else 'newer'}: {engine} → {library.version()}"
        in result.output
    )


def test_a_comparisons_models_are_checked_as_well(kit: Kit, tmp_path: Path) -> None:
    row = {
        "label": "F16",
        "ref": "tiny:f16",
        "weights_digest": "sha256:9",
        "quant": "F16",
    }
    record = {"comparison": {"setup": {}, "rows": [row]}}
    path = write_notebook(tmp_path / "b.ipynb", ["%llm compare tiny"])
    edit(path, lambda cells: cells[0].update(outputs=[shown("", record)]))
    assert "the weights changed" in run("verify", str(path)).output


def test_a_notebook_that_is_not_there_or_has_no_receipt_is_said(
    kit: Kit, tmp_path: Path
) -> None:
    assert "there is no notebook gone.ipynb" in run("verify", "gone.ipynb").output
    path = write_notebook(tmp_path / "b.ipynb", ["1"])
    assert "no receipt is saved in it" in run("verify", str(path)).output
    assert "is no notebook" in run("verify", "tiny:f16", str(path)).output
    assert "takes one model" in run("verify", "tiny:f16", "tiny:f16").output


def test_this_notebook_is_the_one_that_the_server_names(
    notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing says which notebook this is" in run("verify", "--notebook").output
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    settings.cache_clear()
    result = run("verify", "--notebook")
    assert "In[2]" in result.output
    result = run("verify", "--notebook", str(notebook))
    assert "In[2]" in result.output


@pytest.mark.timeout(300)
def test_replay_tells_what_came_again_from_what_cannot_and_what_did_not(
    tiny_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALKIT_HOME", str(tiny_home))
    settings.cache_clear()
    ask = "model.generate('Once', max_tokens=16, {})"
    cells = [
        "import localkit\nmodel = localkit.load('tiny:f16', n_ctx=128)",
        ask.format("temperature=0"),
        ask.format("temperature=1.0, seed=3"),
        ask.format("temperature=1.0"),
        ask.format("temperature=0"),
        "%load_ext localkit\n%llm replay a.ipynb",
    ]
    path = write_notebook(tmp_path / "a.ipynb", cells)
    model = localkit.load("tiny:f16", n_ctx=128)
    answers = [
        model.generate("Once", params=options)
        for options in (
            SamplingParams(temperature=0, max_tokens=16),
            SamplingParams(temperature=1.0, seed=3, max_tokens=16),
            SamplingParams(temperature=1.0, max_tokens=16),
            SamplingParams(temperature=0, max_tokens=16),
        )
    ]
    outputs = [shown("", None) for _ in answers]
    for output, answer in zip(outputs, answers, strict=True):
        output["data"], output["metadata"] = answer.bundle()
    outputs[3]["data"] = {"text/plain": answers[3].text[:6] + " other"}

    def put(cells: list[dict[str, Any]]) -> None:
        for cell, output in zip(cells[1:5], outputs, strict=True):
            cell["outputs"] = [output]

    edit(path, put)
    before = path.read_bytes()
    localkit.default_kit().close()
    set_default(None)
    found = replay(path)
    states = {one.cell: one.state for one in found}
    assert states == {
        2: "identical",
        3: "identical",
        4: "not replayable",
        5: "different",
        6: "failed",
    }, found
    assert found[2].words == "temperature 1.0 and no seed"
    assert "nothing that it was made with changed" in found[3].words
    assert found[3].is_fault
    assert "this is a fresh run already" in found[4].words
    assert path.read_bytes() == before
    assert json.loads(before)["cells"][5]["outputs"] == []


def test_replay_fails_in_one_line_where_the_same_gave_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from localkit.regression import replaying
    from localkit.regression.replaying import Replayed

    def found(*_: object, **__: object) -> list[Replayed]:
        same = Replayed(1, "%%llm a", "identical")
        return [same, Replayed(2, "%%llm b", "different", "word 3: a → b", True)]

    monkeypatch.setattr(replaying, "replay", found)
    result = run("replay", str(tmp_path / "a.ipynb"))
    assert result.exit_code == 1
    assert "1 of 2 results did not come out again → In[2]: word 3" in result.output


def test_nbval_config_prints_the_file_and_writes_it_when_asked(tmp_path: Path) -> None:
    from localkit.regression.sanitizing import nbval_config

    assert run("nbval-config").output == nbval_config()
    target = tmp_path / "nbval.cfg"
    assert run("nbval-config", str(target)).exit_code == 0
    assert target.read_text(encoding="utf-8") == nbval_config()
