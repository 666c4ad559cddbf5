"""Cells that fix the form of an answer, offer tools, or show images or the prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from pydantic import BaseModel

from localkit.runtime.params import Structure
from tests.magics.test_llm import bundles, run, shown_error

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from localkit.runtime.fake import FakeRuntime


class Person(BaseModel):
    name: str
    age: int


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@pytest.fixture(autouse=True)
def _names(shell: InteractiveShell) -> None:
    shell.user_ns.update(Person=Person, multiply=multiply)


def call(name: str, **arguments: Any) -> str:
    written = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{written}\n</tool_call>"


def test_an_answer_is_read_into_the_class_that_was_named(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ['{"name": "Ann", "age": 7}']
    run(shell, "%%llm tiny:f16 -t 0 --schema Person -o ann\nWho?\n")
    answer = shell.user_ns["ann"]
    assert answer.parsed == Person(name="Ann", age=7)
    assert answer.parse_error == ""
    kept, _ = run(shell, "%%llm tiny:f16 -t 0 --schema Person -o again\nWho?\n")
    kept.raise_error()
    assert shell.user_ns["again"].parsed == Person(name="Ann", age=7)
    assert len(runtime.loaded[-1].asked) == 1


def test_fields_on_the_line_are_read_as_a_dict(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ['{"name": "Ann", "tags": ["a"]}']
    run(shell, '%%llm tiny:f16 --schema "name, tags list[str]" -o ann\nWho?\n')
    assert shell.user_ns["ann"].parsed == {"name": "Ann", "tags": ["a"]}


def test_an_answer_that_has_not_its_form_says_so_and_is_shown(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ['{"name": "Ann"}']
    _, shown = run(shell, "%%llm tiny:f16 --schema Person -o ann\nWho?\n")
    answer = shell.user_ns["ann"]
    assert answer.parsed is None
    assert "no Person" in answer.parse_error
    assert "not the form that was asked for" in bundles(shown)[0]["text/plain"]


def test_choices_reach_the_runtime_and_the_value_is_the_text(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ["yes"]
    run(shell, "%%llm tiny:f16 --choices yes,no -o it\nIs it?\n")
    asked = runtime.loaded[-1].asked[-1].structure
    assert asked == Structure("choice", '["yes", "no"]')
    assert shell.user_ns["it"].parsed == "yes"


def test_json_is_shown_pretty_and_what_is_none_ends_in_one_line(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = ['{"b":1,"a":[2]}', "no <b>JSON</b>"]
    result, shown = run(shell, "%%llm tiny:f16 --format json\nA?\n")
    result.raise_error()
    assert bundles(shown)[0]["text/plain"] == '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}'
    result, shown = run(shell, "%%llm tiny:f16 --format json -o x\nB?\n")
    assert "the answer is shown, but it is not JSON" in shown_error(result)
    assert bundles(shown)[0]["text/plain"] == "no <b>JSON</b>"
    assert shell.user_ns["x"].text == "no <b>JSON</b>"


def test_code_loses_its_fence_and_becomes_the_next_cell_for_a_front_end(
    shell: InteractiveShell, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        shell, "set_next_input", lambda text, replace: offered.append((text, replace))
    )
    runtime.replies = ["Sure:\n\n```python\nx = 1\ny = 2\n```\nand\n```\nz\n```\n"] * 2
    _, shown = run(shell, "%%llm tiny:f16 --format code -o x\nA?\n")
    plain = bundles(shown)[0]["text/plain"]
    assert plain == "x = 1\ny = 2\n[the first of 2 blocks of code]"
    assert offered == []
    watch(shell, "cell")
    run(shell, "%%llm tiny:f16 --format code --fresh\nA?\n")
    assert offered == [("x = 1\ny = 2", False)]


def watch(shell: InteractiveShell, cell: str | None) -> None:
    """Let a front end watch, that gives the cell this name."""
    metadata = {} if cell is None else {"cellId": cell}
    object.__setattr__(shell, "get_parent", lambda: {"metadata": metadata})


def test_calls_are_shown_and_not_run_unless_asked(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = [call("multiply", a=2, b=3)]
    _, shown = run(shell, "%%llm tiny:f16 --n-ctx 2048 --tools multiply -o x\n2*3?\n")
    (bundle,) = bundles(shown)
    assert "→ multiply(a=2, b=3)" in bundle["text/plain"]
    assert "nothing has run the calls" in bundle["text/plain"]
    assert len(shell.user_ns["x"].messages) == 2


def test_calls_are_run_and_shown_when_asked(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    runtime.replies = [call("multiply", a=2, b=3), "It is 6."]
    result, shown = run(
        shell, "%%llm tiny:f16 --n-ctx 2048 --tools multiply --run-tools -o x\n2*3?\n"
    )
    result.raise_error()
    plain = [bundle["text/plain"] for bundle in bundles(shown)]
    assert plain[0].startswith("→ multiply(a=2, b=3)")
    assert plain[1] == "multiply returned: 6"
    assert plain[2].startswith("It is 6.")
    assert plain[3] == "1 call run in 1 round; the figures are the last answer's"
    roles = [message.role for message in shell.user_ns["x"].messages]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_N1_what_a_tool_returns_is_escaped(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    def fetch() -> str:
        """Fetch a page."""
        return "<script>alert(1)</script>" + "x" * 500

    shell.user_ns["fetch"] = fetch
    runtime.replies = [call("fetch"), "Done."]
    line = "%%llm tiny:f16 --n-ctx 4096 --tools fetch --run-tools\nGo\n"
    _, shown = run(shell, line)
    html = bundles(shown)[1]["text/html"]
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<details>" in html  # long: folded


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--tools nothing", "no such name"),
        ("--tools Person.name.x", "no such name"),
        ("--tools __import__('os')", "no such name"),
        ("--schema Nobody", "no schema"),
        ("--schema multiply", "is a function"),
        ("--schema json --regex x", "one form"),
        ("--image nowhere.png", "no image"),
        ("-f nowhere.txt", "nowhere.txt"),
    ],
)
def test_N6_a_name_is_looked_up_and_never_evaluated(
    shell: InteractiveShell, line: str, says: str
) -> None:
    result, _ = run(shell, f"%%llm tiny:f16 {line}\nWhy?\n")
    assert says in shown_error(result)


def test_an_image_of_the_notebook_or_of_a_file_stands_before_the_prompt(
    shell: InteractiveShell, tmp_path: Path
) -> None:
    picture = Image.new("RGB", (8, 4), "red")
    picture.save(tmp_path / "red.png")
    shell.user_ns["picture"] = picture
    for name in ("picture", f'"{tmp_path}/red.png"'):
        result, _ = run(shell, f"%%llm tiny:f16 --image {name}\nWhat is it?\n")
        assert "projector" in shown_error(result)  # this model cannot see


def test_a_prompt_from_a_file_stands_before_the_cell_and_needs_none(
    shell: InteractiveShell, tmp_path: Path
) -> None:
    file = tmp_path / "p.md"
    file.write_text("Tell {{topic}}.", encoding="utf-8")
    shell.user_ns["topic"] = "rain"
    run(shell, f"%%llm tiny:f16 -f {file} --max-tokens 3 -o x")
    assert shell.user_ns["x"].messages[0].content == "Tell rain."
    run(shell, f"%%llm tiny:f16 -f {file} --max-tokens 3 -o x\nBriefly.\n")
    assert shell.user_ns["x"].messages[0].content == "Tell rain.\n\nBriefly."


def test_logprobs_are_in_the_result(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    run(shell, "%%llm tiny:f16 --top-logprobs 2 --prompt-logprobs 1 -o x\nA\n")
    asked = runtime.loaded[-1].asked[-1]
    assert (asked.top_logprobs, asked.prompt_logprobs) == (2, 1)
    assert shell.user_ns["x"].prompt_logprobs


def test_a_dry_run_shows_prompt_fit_and_params_and_asks_nothing(
    shell: InteractiveShell, runtime: FakeRuntime
) -> None:
    run(shell, "%config LlmMagic.top_k = 3")
    result, shown = run(
        shell, "%%llm tiny:f16 --dry-run -t 0.5 -o view\nWhy <|im_start|>?\n"
    )
    result.raise_error()
    plain = "\n".join(bundle["text/plain"] for bundle in bundles(shown))
    assert "nothing was asked" in plain
    assert "Why" in plain
    assert "of messages" in plain
    rows = {line.split()[0]: line.split()[1:] for line in plain.splitlines() if line}
    assert rows["temperature"] == ["0.5", "this", "cell"]
    assert rows["top_k"] == ["3", "%config", "LlmMagic"]
    assert rows["max_tokens"][1:] == ["the", "settings"]
    assert runtime.loaded[-1].asked == []
    assert shell.user_ns["view"].n_tokens > 0


def test_a_dry_run_with_tools_shows_how_they_are_described(
    shell: InteractiveShell,
) -> None:
    line = "%%llm tiny:f16 --n-ctx 2048 --dry-run --tools multiply\nWhy?\n"
    result, shown = run(shell, line)
    result.raise_error()
    plain = "\n".join(bundle["text/plain"] for bundle in bundles(shown))
    assert "Multiply␣two␣numbers" in plain
