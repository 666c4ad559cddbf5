from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from IPython.utils.capture import CapturedIO, capture_output

import localkit
from localkit.chat.result import Result

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime

SKY = "It scatters **blue** light."


def run(shell: InteractiveShell, cell: str) -> tuple[ExecutionResult, CapturedIO]:
    """Run a cell as a notebook would, and return what it showed."""
    with capture_output() as shown:
        result = shell.run_cell(cell)
    return result, shown


def bundles(shown: CapturedIO) -> list[dict[str, str]]:
    return [output.data for output in shown.outputs]


def shown_error(result: ExecutionResult) -> str:
    error: Any = result.error_in_exec
    (line,) = error._render_traceback_()
    assert "\n" not in line
    return line


def test_a_cell_shows_the_answer_and_keeps_it(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = [SKY]
    result, shown = run(shell, "%%llm tiny:f16 -o sky\nWhy is the sky blue?\n")
    result.raise_error()
    (bundle,) = bundles(shown)
    assert bundle["text/plain"] == SKY
    assert "<strong>blue</strong>" in bundle["text/html"]
    answer = shell.user_ns["sky"]
    assert isinstance(answer, Result)
    assert str(answer) == SKY
    assert shell.user_ns["_llm"] is answer


def test_figures_are_in_the_metadata_and_nowhere_else_when_nobody_watches(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = [SKY]
    _, shown = run(shell, "%%llm tiny:f16\nWhy?\n")
    (output,) = shown.outputs
    assert output.metadata["localkit"]["n_generated"] > 0
    assert "tok/s" not in output.data["text/html"] + output.data["text/plain"]
    assert shown.stderr == ""


def test_the_cell_is_the_users_message_with_expressions_filled_in(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    shell.user_ns["topic"] = "rain"
    run(shell, '%%llm tiny:f16 -s "Be brief"\nTell {{topic}} {"as": "json"}\n')
    system, user, _ = shell.user_ns["_llm"].messages
    assert (system.role, system.content) == ("system", "Be brief")
    assert user.content == 'Tell rain {"as": "json"}'


def test_raw_sends_the_braces(shell: InteractiveShell) -> None:
    run(shell, "%%llm tiny:f16 --raw\n{{topic}} and \\{{\n")
    assert shell.user_ns["_llm"].messages[0].content == "{{topic}} and \\{{"


def test_without_a_name_the_last_model_answers(
    shell: InteractiveShell, kit: Kit, tiny_gguf
) -> None:
    kit.store.add(tiny_gguf, "other:f16")
    result, _ = run(shell, "%%llm\nWhy?\n")
    assert "2 models are in the store and none is named" in shown_error(result)
    run(shell, "%%llm other:f16\nWhy?\n")
    run(shell, "%%llm\nAnd?\n")
    assert shell.user_ns["_llm"].receipt.ref == "other:f16"


def test_without_any_model_it_says_how_to_get_one(
    shell: InteractiveShell, kit: Kit
) -> None:
    kit.store.remove("tiny:f16")
    result, _ = run(shell, "%%llm\nWhy?\n")
    assert "%llm pull" in shown_error(result)


def test_quiet_shows_nothing(shell: InteractiveShell) -> None:
    _, shown = run(shell, "%%llm tiny:f16 --quiet -o x --max-tokens 3\nWhy?\n")
    assert bundles(shown) == []
    assert "x" in shell.user_ns


def test_text_format_shows_the_markdown_source(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = [SKY]
    _, shown = run(shell, "%%llm tiny:f16 --format text\nWhy?\n")
    assert "**blue**" in bundles(shown)[0]["text/html"]


def test_N1_html_in_an_answer_is_shown_not_run(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ["<script>alert(1)</script><img src=x onerror=alert(1)>"]
    _, shown = run(shell, "%%llm tiny:f16\nWhy?\n")
    (bundle,) = bundles(shown)
    assert "<script" not in bundle["text/html"]
    assert "<img" not in bundle["text/html"]
    assert "text/markdown" not in bundle


def test_the_default_cap_is_named_when_it_bites(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALKIT_MAX_TOKENS", "4")
    localkit.config.settings.cache_clear()
    _, shown = run(shell, "%%llm tiny:f16 -t 0\nWhy?\n")
    assert "4 tokens" in bundles(shown)[0]["text/plain"]


def test_R4_an_interrupted_answer_is_kept_shown_marked_and_stops_run_all(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    def stop_at_ten(index: int) -> None:
        if index == 10:
            raise KeyboardInterrupt

    runtime.replies = [SKY, "Green."]
    runtime.before_token = stop_at_ten
    result, shown = run(shell, "%%llm tiny:f16 -o sky\nWhy?\n")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "kept in `sky`" in shown_error(result)
    assert shell.user_ns["sky"].text == SKY[:10]
    assert shell.user_ns["sky"].finish_reason == "interrupted"
    assert "interrupted" in bundles(shown)[0]["text/plain"]

    runtime.before_token = lambda _: None
    run(shell, "%%llm tiny:f16 -o grass\nAnd grass?\n")
    assert shell.user_ns["grass"].text == "Green."


@pytest.mark.parametrize(
    ("cell", "kind", "says"),
    [
        ("%llm show tinny", "ModelNotFound", "tiny:f16"),
        ("%llm show ../../etc/passwd", "RefError", "4 parts"),
        ("%llm add nowhere.gguf", "SourceNotFound", "nowhere.gguf"),
        ("%llm pull pkg:no-such-package", "SourceNotFound", "pip install"),
        ("%llm quantize tiny:f16 Q9_Z", "QuantizeFailed", "Q4_K_M"),
        ("%llm nonsense", "UsageError", "No such command"),
        ("%llm list --nonsense", "UsageError", "--nonsense"),
        ("%llm list -o 1x", "UsageError", "not a Python name"),
        ("%%llm nobody\nWhy?\n", "ModelNotFound", "nobody"),
        ("%%llm tiny:f16 -t hot\nWhy?\n", "UsageError", "hot"),
        ("%%llm tiny:f16\n{{missing}}\n", "UsageError", "{{missing}}"),
        ("%%llm tiny:f16\n  \n", "UsageError", "empty"),
        ("%%llm tiny:f16 --n-ctx 64\n" + "x" * 500, "ContextTooLong", "n_ctx is 256"),
    ],
)
def test_bad_input_is_one_line_and_the_kernel_lives_on(
    shell: InteractiveShell, cell: str, kind: str, says: str
) -> None:
    result, shown = run(shell, cell)
    assert type(result.error_in_exec).__name__ == kind
    line = shown_error(result)
    assert line.startswith(f"{kind}: ")
    assert says in line
    assert "Traceback" not in shown.stdout + shown.stderr
    alive, _ = run(shell, "1 + 1")
    assert alive.result == 2


def test_a_bug_keeps_its_traceback(
    shell: InteractiveShell, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(prefix: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(kit.store, "list", broken, raising=False)
    result, shown = run(shell, "%llm list")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert "broken" in shown.stdout


def test_a_command_shows_a_table_that_reads_in_a_saved_notebook(
    shell: InteractiveShell,
) -> None:
    _, shown = run(shell, "%llm list -o models")
    (bundle,) = bundles(shown)
    assert "tiny:f16" in bundle["text/plain"]
    assert bundle["text/html"].startswith('<table class="mathjax_ignore')
    assert "<style" not in bundle["text/html"]
    assert [str(one.ref) for one in shell.user_ns["models"]] == ["tiny:f16"]


def test_help_is_printed_for_the_group_a_command_and_a_cell(
    shell: InteractiveShell,
) -> None:
    for cell in ("%llm", "%llm --help"):
        assert "quantize" in run(shell, cell)[1].stdout
    assert "--effort" in run(shell, "%llm compare --help")[1].stdout
    assert "--temperature" in run(shell, "%%llm --help\nx\n")[1].stdout


def test_question_mark_shows_how_to_use_the_magic(shell: InteractiveShell) -> None:
    found = shell._inspect("pinfo", "%%llm")
    text = shell.object_inspect_mime("%%llm")["text/plain"]
    assert found != "not found"
    assert "A cell" in text or "In a cell, a prompt" in text


def test_N5_loading_twice_changes_nothing_and_unloading_removes_all(
    shell: InteractiveShell,
) -> None:
    before = shell.magics_manager.magics["cell"]["llm"]
    localkit.load_ipython_extension(shell)
    assert shell.magics_manager.magics["cell"]["llm"] is before
    localkit.unload_ipython_extension(shell)
    localkit.unload_ipython_extension(shell)
    assert "llm" not in shell.magics_manager.magics["cell"]
    assert "llm" not in shell.magics_manager.magics["line"]
    assert shell.Completer.custom_matchers == []
