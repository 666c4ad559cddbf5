"""eval and runs through the front door, as in a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.kit import default_kit
from localkit.runtime.fake import FakeRuntime
from tests.evals.runs.logs import lm_eval_line, write_lm_eval
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def kit(tiny_gguf: Path) -> Iterator[None]:
    runtime = FakeRuntime(replies=["blue", "=cmd|'/c calc'!A1", "8"])
    with fake_kit(tiny_gguf, runtime=runtime):
        yield


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "mine.csv"
    path.write_text("prompt,expected\nSky?,blue\nCapital?,Paris\nLegs?,8\n")
    return str(path)


def run(*words: str) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 1
    return result.output


def id_in(text: str) -> str:
    found = re.search(r"Run ([0-9a-f]{8})", text)
    assert found
    return found[1]


def test_eval_shows_the_scores_and_runs_lists_them(table):
    shown = run("eval", MODEL, "--task", table)
    assert "0.67" in shown
    assert "Taken from mine.csv" in shown
    id_ = id_in(shown)
    assert id_ in run("runs")
    assert run("runs", "show", id_).startswith(shown[:20])
    assert f"localkit eval {MODEL} --task" in run("runs", "show", id_)


def test_runs_are_compared_exported_and_removed(table, tmp_path):
    first = id_in(run("eval", MODEL, "--task", table))
    second = id_in(run("eval", MODEL, "--task", table, "--limit", "2"))
    assert "asked 3 and 2 samples" in refused("runs", "diff", first, second)
    assert "both runs hold the same answers" in run(
        "runs", "diff", first, second, "--shared"
    )
    file = tmp_path / "out.csv"
    assert "3 answers" in run("runs", "export", first, str(file))
    assert "'=cmd|" in file.read_text()
    assert "2 answers" not in run("runs", "rm", second)
    assert "3 answers" in run("runs", "rm", first[:6])
    assert "no runs yet" in run("runs")


def test_a_run_of_another_tool_is_imported(tmp_path):
    lines = [lm_eval_line(i, acc=float(i % 2)) for i in range(6)]
    file = write_lm_eval(tmp_path, lines, model="theirs")
    shown = run("runs", "import", str(file))
    assert "theirs" in shown
    assert "0.50" in shown
    assert "import" in run("runs")


def test_a_mistake_says_the_way_out(table):
    assert "`localkit runs` lists them" in refused("runs", "show", "nothing")
    assert "is not in the store" in refused("eval", "nobody", "--task", table)
    assert not default_kit().settings.runs_db.exists() or "no runs" in run("runs")


def test_the_notebook_has_the_same_commands(table):
    from IPython.core.interactiveshell import InteractiveShell

    from localkit.magics.llm import LlmMagic

    shell: InteractiveShell = InteractiveShell()
    LlmMagic(shell).llm(f"eval {MODEL} --task {table} -o found")
    LlmMagic(shell).llm("runs -o listed")
    (listed,) = shell.user_ns["listed"]
    assert listed.id == shell.user_ns["found"].id
    LlmMagic(shell).llm(f"runs show {listed.id} -o again")
    assert shell.user_ns["again"].id == listed.id
