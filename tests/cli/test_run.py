from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.cli import main
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import Structure
from tests.fixtures.kits import fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Run = Callable[..., Result]


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime(replies=["It scatters blue light."])


@pytest.fixture
def run(tiny_gguf: Path, runtime: FakeRuntime):
    with fake_kit(tiny_gguf, runtime=runtime):
        yield lambda *words, stdin=None: CliRunner().invoke(main, words, input=stdin)


def test_the_answer_alone_goes_to_standard_output(run: Run) -> None:
    result = run("run", "tiny:f16", "Why", "is the sky blue?")
    assert result.stdout == "It scatters blue light.\n"
    assert "generated" in result.stderr


def test_the_prompt_can_be_piped_in(run: Run) -> None:
    result = run("run", "tiny:f16", stdin="Why is the sky blue?")
    assert result.stdout == "It scatters blue light.\n"


def test_the_prompt_can_stand_in_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("Why is the sky blue?", encoding="utf-8")
    result = run("run", "tiny:f16", "-f", str(file), "Briefly.")
    assert result.stdout == "It scatters blue light.\n"
    result = run("run", "tiny:f16", "-f", str(tmp_path / "none.txt"))
    assert "none.txt" in result.stderr


def test_a_name_of_a_notebook_means_nothing_in_a_terminal(run: Run) -> None:
    result = run("run", "tiny:f16", "--schema", "Person", "Who?")
    assert result.exit_code == 1
    assert "no schema" in result.stderr


def test_without_a_prompt_it_asks_for_one(run: Run) -> None:
    result = run("run", "tiny:f16")
    assert result.exit_code == 1
    assert "there is no prompt" in result.stderr


def test_an_answer_that_was_cut_says_so(run: Run) -> None:
    result = run("run", "tiny:f16", "--max-tokens", "5", "Why?")
    assert result.stdout == "It sc\n"
    assert "cut" in result.stderr


def test_N1_terminal_sequences_of_a_model_do_not_reach_the_terminal(
    run: Run, runtime: FakeRuntime
) -> None:
    runtime.replies = ["\x1b[2Jsafe\x07 text"]
    assert run("run", "tiny:f16", "Why?").stdout.strip() == "[2Jsafe text"


def test_R4_an_interrupted_answer_keeps_its_text_and_exits_130(
    run: Run, runtime: FakeRuntime
) -> None:
    def stop_at_six(index: int) -> None:
        if index == 6:
            raise KeyboardInterrupt

    runtime.before_token = stop_at_six
    result = run("run", "tiny:f16", "Why?")
    assert result.exit_code == 130
    assert result.stdout == "It sca\n"
    assert "interrupted" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--temperature", "-1"),
        ("--top-p", "1.5"),
        ("--max-tokens", "0"),
        ("--seed", "-1"),
        ("--n-ctx", "1"),
    ],
)
def test_V6_sampling_params_out_of_range_are_refused(
    run: Run, words: tuple[str, ...]
) -> None:
    result = run("run", "tiny:f16", *words, "Why?")
    assert result.exit_code == 2
    assert "range" in result.stderr


def test_a_system_message_needs_the_template(run: Run) -> None:
    result = run("run", "tiny:f16", "--no-template", "--system", "Be brief", "Why?")
    assert result.exit_code == 1
    assert "needs the chat template" in result.stderr


def test_the_form_of_the_answer_reaches_the_runtime(
    run: Run, runtime: FakeRuntime, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}', encoding="utf-8")
    for given, wanted in (
        ("json", Structure("json")),
        ('{"type": "array"}', Structure("json_schema", '{"type": "array"}')),
        (str(schema), Structure("json_schema", '{"type": "object"}')),
    ):
        assert run("run", "tiny:f16", "--schema", given, "Why?").exit_code == 0
        assert runtime.loaded[-1].asked[-1].structure == wanted
    for option, given, wanted in (
        ("--schema", "age int", "json_schema"),
        ("--choices", "yes,no", "choice"),
        ("--regex", "[0-9]+", "regex"),
        ("--grammar", 'root ::= "x"', "gbnf"),
    ):
        assert run("run", "tiny:f16", option, given, "Why?").exit_code == 0
        assert runtime.loaded[-1].asked[-1].structure.kind == wanted
    result = run("run", "tiny:f16", "--schema", "nowhere.json", "Why?")
    assert "nowhere.json" in result.stderr


def test_a_model_asked_to_leave_at_once_is_not_kept(run: Run) -> None:
    assert run("run", "tiny:f16", "--keep-alive", "0", "Why?").exit_code == 0
    deadline = time.monotonic() + 5
    while not (shown := run("ps").stdout).rstrip().endswith("unused for 0 s"):
        assert time.monotonic() < deadline, shown


def test_a_keep_alive_that_is_no_time_is_refused(run: Run) -> None:
    result = run("run", "tiny:f16", "--keep-alive", "soon", "Why?")
    assert result.exit_code == 1
    assert "soon" in result.stderr
