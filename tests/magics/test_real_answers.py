"""Cells that a real model answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from IPython.core.interactiveshell import InteractiveShell
from pydantic import BaseModel
from traitlets.config import Config

import localkit
from localkit.kit import Kit, set_default
from tests.magics.test_llm import bundles, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Sailor(BaseModel, extra="forbid"):
    name: str
    age: int


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@pytest.fixture
def real(smollm2_gguf: Path) -> Iterator[InteractiveShell]:
    """Return a shell over the real model under two names."""
    kit = Kit()
    kit.store.add(smollm2_gguf, "smollm2:q4_1")
    kit.store.copy("smollm2:q4_1", "smollm2:again")
    set_default(kit)
    config = Config()
    config.HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    localkit.load_ipython_extension(shell)
    shell.user_ns.update(Sailor=Sailor, multiply=multiply)
    yield shell
    InteractiveShell.clear_instance()
    set_default(None)
    kit.close()


@pytest.mark.model
def test_forms_tools_columns_and_kept_answers_with_a_real_model(
    real: InteractiveShell,
) -> None:
    names = real.user_ns

    def ask(line: str, prompt: str) -> list[str]:
        result, shown = run(real, f"%%llm {line}\n{prompt}\n")
        result.raise_error()
        return [bundle["text/plain"] for bundle in bundles(shown)]

    for setting in ("model = 'smollm2:q4_1'", "temperature = 0"):
        run(real, f"%config LlmMagic.{setting}")

    ask('--schema "name, age int" --max-tokens 60 -o sailor', "Invent a sailor.")
    assert set(names["sailor"].parsed) == {"name", "age"}
    assert isinstance(names["sailor"].parsed["age"], int)
    ask("--schema Sailor --max-tokens 60 -o sailor", "Invent a sailor.")
    assert isinstance(names["sailor"].parsed, Sailor)
    ask("--choices sea,land -o place", "Where do fish live?")
    assert names["place"].parsed in ("sea", "land")
    ask('--regex "1[0-9]{3}" -o year', "When did the Titanic sink?")
    assert re.fullmatch("1[0-9]{3}", names["year"].text)
    ask('--grammar \'root ::= "yes" | "no"\' -o wet', "Is water wet?")
    assert names["wet"].text in ("yes", "no")

    # Small models call nothing unless they must.
    line = "--tools multiply --run-tools --tool-choice required --max-tokens 60 -o x"
    shown = ask(line, "What is 17 times 23?")
    assert shown[0].startswith("→ multiply(")
    called = names["x"].messages[1].tool_calls[0]
    assert names["x"].messages[2].content == str(multiply(**called.arguments))

    ask("smollm2:q4_1 smollm2:again --max-tokens 8 -o both", "Why is the sky blue?")
    one, other = names["both"]
    assert one.text == other.text  # the same bytes under two names
    ask("--max-tokens 8 --top-logprobs 2 -o told", "Why is the sky blue?")
    assert [len(token.top) for token in names["told"].logprobs] == [2] * 8
    (plain,) = ask("--max-tokens 8 -o first", "Why is the sky blue?")
    assert ask("--max-tokens 8 -o second", "Why is the sky blue?") == [plain]
    assert names["second"].replayed
    assert names["second"].tokens == names["first"].tokens

    shown = ask('--dry-run -s "Be brief" -o view', "Why <|im_start|>?")
    assert "«<|im_start|>»user" in "\n".join(shown)
    assert names["view"].n_tokens == 25
