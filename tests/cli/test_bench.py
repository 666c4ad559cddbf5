from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.kit import set_default
from tests.evals.tiny_family import tiny_kit

SHORT = ("-p", "16", "-n", "4", "-r", "2")


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a command line on a family of tiny models."""
    kit = tiny_kit(tmp_path / "family", {"f16": "F16", "q8_0": "Q8_0"})
    set_default(kit)
    yield lambda *words: CliRunner().invoke(main, ["bench", *words])
    set_default(None)
    kit.close()


def test_models_are_timed_and_tabled(run):
    result = run("tiny:f16", "tiny:q8_0", *SHORT, "-d", "0,256")
    assert result.exit_code == 0, result.stderr
    for test in ("pp16", "tg4", "pp16 @ d256", "tg4 @ d256"):
        assert test in result.stdout
    assert "1000 (1000–1000) tok/s" in result.stdout
    assert "Nothing is shown to be slower in" in result.stdout


def test_loads_are_tried_and_every_repetition_is_written(run, tmp_path):
    file = tmp_path / "bench.json"
    result = run("tiny:f16", *SHORT, "--threads", "1,2", "--json", str(file))
    assert result.exit_code == 0, result.stderr
    assert "tiny:f16, n_threads 2" in result.stdout
    rows = json.loads(file.read_text())["rows"]
    assert [row["settings"]["n_threads"] for row in rows[:2]] == [1, 2]


def test_threads_all_tries_what_the_machine_has(run):
    result = run("tiny:f16", *SHORT, "--threads", "all")
    assert result.exit_code == 0, result.stderr


def test_waiting_times_have_a_table_of_their_own(run):
    result = run("tiny:f16", *SHORT, "--clients", "1,2", "--energy")
    assert result.exit_code == 0, result.stderr
    assert "TTFT p50" in result.stdout
    assert "Energy of" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("tiny:f16", "--threads", "two"), 2, "list of numbers"),
        (("tiny:f16", "-r", "0"), 2, "range"),
        (("tiny:q3",), 1, "q3"),
        (("tiny:f16", "--clients", "0"), 1, "compute nothing"),
        ((), 2, "MODEL"),
    ],
)
def test_a_bad_argument_says_what_is_wrong_with_it(run, words, code, says):
    result = run(*words)
    assert result.exit_code == code
    assert says in result.stderr
