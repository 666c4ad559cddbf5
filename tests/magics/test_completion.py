from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell


class Person:
    """As much of a pydantic class as completion looks at."""

    model_validate_json = None


class Hostile:
    """Fails whatever is asked of it."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def complete(shell: InteractiveShell, code: str) -> set[str]:
    """Return what the line would read after each completion, as Lab applies it."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(code, len(code)))
    return {code[: one.start] + one.text + code[one.end :] for one in found}


@pytest.mark.parametrize(
    ("typed", "reads"),
    [
        ("%llm qu", "%llm quantize"),
        ("%llm show ti", "%llm show tiny:f16"),
        ("%llm show tiny:f", "%llm show tiny:f16"),
        ("%%llm tiny:", "%%llm tiny:f16"),
        ("%%llm tiny:f16 --temp", "%%llm tiny:f16 --temperature"),
        ("%llm quantize tiny:f16 Q4_K_", "%llm quantize tiny:f16 Q4_K_M"),
        ("%llm compare tiny --quants F16,q8", "%llm compare tiny --quants F16,Q8_0"),
        ("%llm compare tiny --effort q", "%llm compare tiny --effort quick"),
        ("%llm pull p", "%llm pull pkg:"),
        ("models = %llm show tiny:", "models = %llm show tiny:f16"),
    ],
)
def test_tab_completes_the_word_after_the_last_blank(
    shell: InteractiveShell, typed: str, reads: str
) -> None:
    assert reads in complete(shell, typed)


@pytest.mark.parametrize(
    ("typed", "reads"),
    [
        ("%%llm tiny:f16 --schema Pers", "%%llm tiny:f16 --schema Person"),
        ("%%llm --tools multi", "%%llm --tools multiply"),
        ("%%llm --tools multiply,add", "%%llm --tools multiply,add_up"),
        ("%%llm --choices lab", "%%llm --choices labels"),
        ("%%llm --image pict", "%%llm --image picture"),
        ("%%llm --image=pict", "%%llm --image=picture"),
        ("%%llm -o answ", "%%llm -o answer"),
        ("%llm list -o answ", "%llm list -o answer"),
        ("%%llm --format co", "%%llm --format code"),
        ("%%llm tiny:f16 tin", "%%llm tiny:f16 tiny:f16"),
        ("%llm compare tiny --task hell", "%llm compare tiny --task hellaswag"),
        ("%llm compare tiny --text jar", "%llm compare tiny --text jargon-file"),
        ("%llm eval tiny:f16 --task arith", "%llm eval tiny:f16 --task arithmetic"),
    ],
)
def test_tab_completes_names_of_the_notebook_and_of_tasks(
    shell: InteractiveShell, typed: str, reads: str
) -> None:
    shell.user_ns.update(
        Person=Person,
        multiply=len,
        add_up=sum,
        labels=["a", "b"],
        picture=b"\x89PNG",
        answer=1,
    )
    assert reads in complete(shell, typed)


def test_what_an_option_does_not_take_is_not_offered(shell: InteractiveShell) -> None:
    shell.user_ns.update(answer=1, hostile=Hostile())
    for option in ("--schema", "--tools", "--image", "--choices"):
        typed = f"%%llm {option} "
        offered = complete(shell, typed)
        assert f"{typed}answer" not in offered
        assert f"{typed}hostile" not in offered


def test_files_are_completed(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "sky.md").touch()
    (tmp_path / "form.json").touch()
    monkeypatch.chdir(tmp_path)
    assert "%%llm -f prompts/" in complete(shell, "%%llm -f pro")
    assert "%%llm -f prompts/sky.md" in complete(shell, "%%llm -f prompts/s")
    assert "%%llm --schema form.json" in complete(shell, "%%llm --schema fo")


def test_an_expression_on_the_line_completes_as_python(shell: InteractiveShell) -> None:
    shell.user_ns["my_prompt_name"] = "x"
    assert "%%llm {{my_prompt_name" in complete(shell, "%%llm {{my_prompt_n")


def test_the_body_of_a_cell_is_left_alone(shell: InteractiveShell) -> None:
    assert "%%llm x\n%llm quantize" not in complete(shell, "x\n%llmx qu")
