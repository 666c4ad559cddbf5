"""Conversations and kept answers, as cells use them; what holds for every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import localkit
from localkit.kit import Kit, set_default
from localkit.magics.empty_body import keep_empty_body
from tests.magics.test_forms_of_cells import watch
from tests.magics.test_llm import bundles, run, shown_error

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from localkit.runtime.fake import FakeRuntime


def contents(shell: InteractiveShell, name: str = "_llm") -> list[str]:
    return [message.content for message in shell.user_ns[name].messages]


def test_a_chat_goes_on(shell: InteractiveShell, runtime: FakeRuntime) -> None:
    runtime.replies = ["Hi Bob.", "Bob."]
    run(shell, '%%llm tiny:f16 --chat a -s "Be brief"\nI am Bob.\n')
    run(shell, "%%llm tiny:f16 --chat a\nWho am I?\n")
    said = ["Be brief", "I am Bob.", "Hi Bob.", "Who am I?", "Bob."]
    assert contents(shell) == said


def test_a_cell_that_runs_again_takes_back_what_came_after_it(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ["One.", "Two.", "Uno."]
    watch(shell, "first")
    run(shell, "%%llm tiny:f16 --chat a\nA\n")
    watch(shell, "second")
    run(shell, "%%llm tiny:f16 --chat a\nB\n")
    watch(shell, "first")
    _, shown = run(shell, "%%llm tiny:f16 --chat a\nA, again\n")
    assert contents(shell) == ["A, again", "Uno."]
    assert "back where this cell stood" in bundles(shown)[0]["text/plain"]


def test_N5_a_notebook_without_cell_ids_runs_twice_with_the_same_result(
    shell: InteractiveShell, kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = ["One.", "Two.", "Three."] * 2
    cells = ["Go on.", "Go on.", "End."]

    def run_all() -> tuple[list[str], list[str]]:
        shown_all = []
        for cell in cells:
            _, shown = run(shell, f"%%llm tiny:f16 --chat a -t 0\n{cell}\n")
            shown_all += [bundle["text/plain"] for bundle in bundles(shown)]
        return shown_all, contents(shell)

    watch(shell, None)
    first = run_all()
    localkit.unload_ipython_extension(shell)  # a new kernel has counted no cells
    localkit.load_ipython_extension(shell)
    assert run_all() == first
    assert len(first[1]) == 6


def test_a_fork_leaves_what_it_began_with(
    shell: InteractiveShell, kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = ["One.", "Two.", "Other."]
    run(shell, "%%llm tiny:f16 --chat a\nA\n")
    run(shell, "%%llm tiny:f16 --chat a\nB\n")
    run(shell, "%%llm tiny:f16 --chat b --from a\nC\n")
    assert contents(shell) == ["A", "One.", "B", "Two.", "C", "Other."]
    assert len(kit.history.conversations.show("a").messages) == 4


def test_R4_an_interrupted_answer_stays_out_of_the_chat_and_says_so(
    shell: InteractiveShell, kit: Kit, runtime: FakeRuntime
) -> None:
    def stop(index: int) -> None:
        raise KeyboardInterrupt

    runtime.replies, runtime.before_token = ["One."], stop
    watch(shell, "cell")
    result, shown = run(shell, "%%llm tiny:f16 --chat a\nA\n")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "stays as it was" in bundles(shown)[-1]["text/plain"]
    assert [one.name for one in kit.history.conversations.list()] == []


def test_a_determined_answer_is_shown_again_without_loading_and_alike(
    shell: InteractiveShell, kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = ["Blue.", "Green."]
    cell = "%%llm tiny:f16 -t 0 -o sky\nWhy?\n"
    _, first = run(shell, cell)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit, "load", None)  # calling it would fail
        result, again = run(shell, cell)
    result.raise_error()
    assert bundles(again) == bundles(first)
    note = again.outputs[0].metadata["localkit"]["note"]
    assert note.startswith("from the cache")
    assert "from the cache" in shell.user_ns["sky"].usage_line()
    run(shell, "%%llm tiny:f16 -t 0 -o sky --fresh\nWhy?\n")
    assert shell.user_ns["sky"].text == "Green."


def test_who_watches_sees_that_an_answer_was_kept(shell: InteractiveShell) -> None:
    watch(shell, "cell")
    cell = "%%llm tiny:f16 -t 0 --max-tokens 3\nWhy?\n"
    run(shell, cell)
    _, shown = run(shell, cell)
    assert "from the cache" in bundles(shown)[-1]["text/html"]


def test_R4_an_interrupted_answer_is_never_shown_again(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    def stop(index: int) -> None:
        if index == 2:
            raise KeyboardInterrupt

    runtime.replies, runtime.before_token = ["Blue.", "Green."], stop
    cell = "%%llm tiny:f16 -t 0 -o sky\nWhy?\n"
    run(shell, cell)
    runtime.before_token = lambda _: None
    run(shell, cell)
    assert shell.user_ns["sky"].text == "Green."


def test_calls_that_were_run_are_not_replayed(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    def now() -> str:
        """Tell the time."""
        return "noon"

    shell.user_ns["now"] = now
    runtime.replies = ["One.", "Two."]
    cell = "%%llm tiny:f16 -t 0 --n-ctx 2048 --tools now --run-tools -o x\nWhen?\n"
    run(shell, cell)
    run(shell, cell)
    assert shell.user_ns["x"].text == "Two."


def test_a_damaged_history_costs_a_line_and_no_answer(
    shell: InteractiveShell, kit: Kit, runtime: FakeRuntime
) -> None:
    path = kit.history.path
    assert path is not None
    kit.close()
    path.write_bytes(b"this is no database, and it is long enough to be read" * 50)
    other = Kit(runtime=runtime)
    set_default(other)
    runtime.replies = ["Blue."]
    watch(shell, "cell")
    try:
        result, shown = run(shell, "%%llm tiny:f16\nWhy?\n")
        result.raise_error()
        plain = [bundle["text/plain"] for bundle in bundles(shown)]
        assert "kept answers cannot be used" in plain[0]
        assert plain[-1] == "Blue."
        result, _ = run(shell, "%%llm tiny:f16 --chat a\nWhy?\n")
        assert "history" in shown_error(result)
    finally:
        other.close()


def test_what_is_configured_holds_where_a_cell_does_not_say(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    for setting in (
        "model = 'tiny:f16'",
        "temperature = 0",
        "seed = 4",
        "system = 'Be brief'",
        "max_tokens = 5",
        "format = 'text'",
    ):
        run(shell, f"%config LlmMagic.{setting}")
    result, shown = run(shell, "%%llm -t 0.5 -o x\n**A**\n")
    result.raise_error()
    asked = runtime.loaded[-1].asked[-1]
    assert (asked.temperature, asked.seed, asked.max_tokens) == (0.5, 4, 5)
    assert shell.user_ns["x"].messages[0].content == "Be brief"
    assert "<pre" in bundles(shown)[0]["text/html"]
    run(shell, "%%llm --no-template\nA\n")  # the configured instructions have no place
    assert shell.user_ns["_llm"].messages == ()


def test_N6_a_configured_value_out_of_range_is_refused(shell: InteractiveShell) -> None:
    run(shell, "%config LlmMagic.temperature = 'hot'")  # traitlets logs why not
    run(shell, "%config LlmMagic.temperature = 9.0")
    run(shell, "%%llm tiny:f16 --max-tokens 3\nA\n")
    assert shell.user_ns["_llm"].receipt.params.temperature == 0.8


def test_help_of_a_cell_needs_no_text_under_it(shell: InteractiveShell) -> None:
    result, shown = run(shell, "%%llm --help")
    result.raise_error()
    assert "--run-tools" in shown.stdout
    result, _ = run(shell, "%%llm tiny:f16")
    assert "the prompt is empty" in shown_error(result)


def test_only_a_bare_line_of_ours_gets_an_empty_line() -> None:
    assert keep_empty_body(["%%llm --help"]) == ["%%llm --help\n", "\n"]
    assert keep_empty_body(["%%llm\n", "  \n"]) == ["%%llm\n", "\n"]
    for lines in ([], ["%%llm\n", "x"], ["%%llmx\n"], ["x = 1\n"], ["%%time\n"]):
        assert keep_empty_body(lines) == lines
