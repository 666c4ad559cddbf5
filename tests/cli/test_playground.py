from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.magics.llm import LlmMagic
from localkit.widgets.playground.playground import Playground
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from click.testing import Result


def test_a_terminal_lists_the_versions_and_says_where_a_playground_is(
    run: Callable[..., Result], tiny_gguf: Path
) -> None:
    from localkit.widgets.playground.playground import playground

    with fake_kit(tiny_gguf) as kit:
        empty = run("playground")
        playground(MODEL, prompt="Name a fox", params={"max_tokens": 2}, kit=kit).run()
        listed = run("playground")
    assert "no versions yet" in empty.stdout
    assert "Name a fox" in listed.stdout
    assert "needs a notebook" in listed.stdout


def test_a_notebook_opens_a_playground_and_assigns_it(
    tiny_gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell: InteractiveShell = InteractiveShell()  # type: ignore[no-untyped-call]
    with fake_kit(tiny_gguf):
        LlmMagic(shell).llm(f"playground {MODEL} --name mine --blind -o pg")
        made = shell.user_ns["pg"]
        assert isinstance(made, Playground)
        assert (made.name, made.desk.blind) == ("mine", True)
        made.write(prompt="Name a fox")
        made.save_preset("foxes")
        LlmMagic(shell).llm("playground --preset foxes -o again")
    assert shell.user_ns["again"].desk.draft.prompt == "Name a fox"
    assert f"── A: {MODEL} ──" in capsys.readouterr().out
