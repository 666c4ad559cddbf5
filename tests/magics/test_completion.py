from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


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


def test_an_expression_on_the_line_completes_as_python(shell: InteractiveShell) -> None:
    shell.user_ns["my_prompt_name"] = "x"
    assert "%%llm {{my_prompt_name" in complete(shell, "%%llm {{my_prompt_n")


def test_the_body_of_a_cell_is_left_alone(shell: InteractiveShell) -> None:
    assert "%%llm x\n%llm quantize" not in complete(shell, "x\n%llmx qu")
