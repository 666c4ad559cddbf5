"""Several answers in one cell: of several models, or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.chat.result import Result
from tests.magics.test_llm import bundles, run, shown_error
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime


@pytest.fixture
def two(kit: Kit, tiny_gguf: Path) -> None:
    """Give the store a second model."""
    kit.store.add(tiny_gguf, "other:f16")


@pytest.mark.usefixtures("two")
def test_several_models_stand_side_by_side_in_one_output(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ["It is **blue**."] * 2
    result, shown = run(shell, "%%llm tiny:f16 other:f16 -o both\nWhy?\n")
    result.raise_error()
    (output,) = shown.outputs
    assert output.data["text/plain"] == (
        "── tiny:f16 ──\nIt is **blue**.\n\n── other:f16 ──\nIt is **blue**."
    )
    html = output.data["text/html"]
    assert html.count("<strong>blue</strong>") == 2
    assert "auto-fit" in html  # one column where it is narrow
    assert "tok/s" not in html
    both = shell.user_ns["both"]
    assert [one.receipt.ref for one in both] == ["tiny:f16", "other:f16"]
    assert shell.user_ns["_llm"] is both
    figures = output.metadata["localkit"]["answers"]
    assert [one["receipt"]["ref"] for one in figures] == ["tiny:f16", "other:f16"]


@pytest.mark.usefixtures("two")
def test_N1_nothing_in_a_column_runs(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    for payload in list(PAYLOADS.values())[:20]:
        runtime.replies = [payload] * 2
        _, shown = run(shell, "%%llm tiny:f16 other:f16 --fresh\nWhy?\n")
        (bundle,) = bundles(shown)
        assert active_parts(bundle["text/html"]) == []
        assert characters_that_act(bundle["text/plain"]) == []
        shell.run_cell("%llm unload")


@pytest.mark.usefixtures("two")
def test_R4_stopping_one_column_keeps_it_and_asks_no_other(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    def stop_at_three(index: int) -> None:
        if index == 3:
            raise KeyboardInterrupt

    runtime.replies, runtime.before_token = ["Blue."], stop_at_three
    result, shown = run(shell, "%%llm tiny:f16 other:f16 -o both\nWhy?\n")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "kept in `both`" in shown_error(result)
    (one,) = shell.user_ns["both"]
    assert one.text == "Blu"
    assert "was not asked" in bundles(shown)[0]["text/plain"]


def test_a_model_that_fails_leaves_what_the_others_said(
    shell: InteractiveShell, kit: Kit, tiny_gguf: Path, runtime: FakeRuntime
) -> None:
    kit.store.add(tiny_gguf, "other:f16")
    n_begun = 0

    def fail_at_the_second(index: int) -> None:
        nonlocal n_begun
        n_begun += index == 0
        if n_begun == 2:
            raise RuntimeError("no memory")

    runtime.replies, runtime.before_token = ["Blue."], fail_at_the_second
    result, shown = run(shell, "%%llm tiny:f16 other:f16\nWhy?\n")
    assert result.error_in_exec is not None
    assert "Blue." in bundles(shown)[0]["text/plain"]


def test_n_answers_of_one_model_count_their_seeds_up(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    result, shown = run(shell, "%%llm tiny:f16 -n 3 --seed 5 -o x --max-tokens 4\nA?\n")
    result.raise_error()
    answers = shell.user_ns["x"]
    assert all(isinstance(one, Result) for one in answers)
    assert [one.receipt.params.seed for one in answers] == [5, 6, 7]
    plain = bundles(shown)[0]["text/plain"]
    assert [f"{n} of 3" in plain for n in (1, 2, 3)] == [True] * 3
    n_asked = len(runtime.loaded[-1].asked)
    run(shell, "%%llm tiny:f16 -n 3 --seed 5 -o y --max-tokens 4\nA?\n")
    assert len(runtime.loaded[-1].asked) == n_asked  # all three from the cache
    assert [one.text for one in shell.user_ns["y"]] == [one.text for one in answers]


def test_one_answer_of_n_is_a_list_too(shell: InteractiveShell) -> None:
    run(shell, "%%llm tiny:f16 -n 1 -o x --max-tokens 4\nA?\n")
    assert len(shell.user_ns["x"]) == 1


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tiny:f16 other:f16 -n 2", "-n and several models"),
        ("tiny:f16 other:f16 --chat a", "goes on with one answer"),
        ("tiny:f16 -n 2 --chat a", "goes on with one answer"),
        ("tiny:f16 --from a", "without --chat"),
        ("tiny:f16 --run-tools", "without --tools"),
        ("tiny:f16 --chat a --no-template", "needs the chat template"),
        ("tiny:f16 -n 0", "range"),
        ("tiny:f16 nobody", "nobody"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    shell: InteractiveShell, line: str, says: str
) -> None:
    result, _ = run(shell, f"%%llm {line}\nWhy?\n")
    assert says in shown_error(result)
