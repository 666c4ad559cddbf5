"""The help of the whole group, and of every command, in terminal and notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.cli import main
from localkit.cli.sections import SECTIONS
from localkit.magics.llm import LlmMagic

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result
    from IPython.core.interactiveshell import InteractiveShell

_SHOWN = sorted(name for name, command in main.commands.items() if not command.hidden)


def test_every_command_stands_in_one_section() -> None:
    named = [name for _, names in SECTIONS for name in names]
    assert sorted(named) == _SHOWN


def test_the_help_lists_the_commands_in_the_order_of_their_use(
    run: Callable[..., Result],
) -> None:
    text = run("--help").stdout
    titles = [text.index(f"{title}:") for title, _ in SECTIONS]
    assert titles == sorted(titles)
    assert text.index("  pull ") < text.index("  run ") < text.index("  prune ")


@pytest.mark.parametrize("name", _SHOWN)
def test_a_command_explains_itself_in_terminal_and_notebook(
    run: Callable[..., Result], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shown = run(name, "--help")
    assert shown.exit_code == 0
    first_line = (main.commands[name].help or "").partition("\n")[0]
    assert first_line.endswith((".", ":"))
    assert first_line[:40] in shown.stdout
    shell: InteractiveShell = InteractiveShell()
    LlmMagic(shell).llm(f"{name} --help")
    assert first_line[:40] in capsys.readouterr().out
