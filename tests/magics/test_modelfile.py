"""``%%modelfile NAME``: a cell as a Modelfile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import localkit
from localkit.magics import unload
from localkit.store import CreateReceipt
from tests.magics.test_llm import run, shown_error

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from localkit.kit import Kit


def test_a_cell_makes_a_model_and_says_what_it_cost(
    shell: InteractiveShell, kit: Kit
) -> None:
    cell = (
        "%%modelfile pirate -o made\nFROM tiny:f16\nSYSTEM Arr!\n"
        'TEMPLATE """{{ .System }} {{ .Prompt }}"""\nPARAMETER num_gqa 8\n'
    )
    result, shown = run(shell, cell)
    result.raise_error()
    texts = [output.data["text/plain"] for output in shown.outputs]
    assert texts[0].startswith("pirate:latest: F16, ")
    assert texts[1].startswith("note: PARAMETER num_gqa (line 4)")
    made: Any = shell.user_ns["made"]
    assert isinstance(made, CreateReceipt)
    assert kit.store.resolve("pirate").system == "Arr!"
    assert kit.store.resolve("pirate").template == "{{ .System }} {{ .Prompt }}"


def test_the_line_is_filled_in_and_the_cell_is_not(
    shell: InteractiveShell, kit: Kit
) -> None:
    shell.user_ns["name"] = "filled"
    result, _ = run(shell, "%%modelfile {{name}}\nFROM tiny\nSYSTEM {{name}}\n")
    result.raise_error()
    assert kit.store.resolve("filled").system == "{{name}}"


def test_a_wrong_cell_ends_in_one_line_with_the_line(shell: InteractiveShell) -> None:
    result, _ = run(shell, "%%modelfile x\nFROM tiny\n\nSYTEM hi\n")
    assert "(line 3): command must be one of" in shown_error(result)
    result, _ = run(shell, "%%modelfile\nFROM tiny\n")
    assert "NAME" in shown_error(result)


def test_create_is_a_command_of_the_line_magic_too(
    shell: InteractiveShell, kit: Kit
) -> None:
    result, _ = run(shell, '%llm create brief --from tiny --system "Be brief."')
    result.raise_error()
    assert kit.store.resolve("brief").system == "Be brief."


def test_the_magic_comes_and_goes_with_the_extension(shell: InteractiveShell) -> None:
    assert "modelfile" in shell.magics_manager.magics["cell"]
    unload(shell)
    assert "modelfile" not in shell.magics_manager.magics["cell"]
    localkit.load_ipython_extension(shell)
    localkit.load_ipython_extension(shell)
    assert "modelfile" in shell.magics_manager.magics["cell"]
