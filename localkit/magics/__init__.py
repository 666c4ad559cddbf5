"""The notebook's commands: ``%llm``, ``%%llm``, ``%%modelfile``, their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_NAME = "llm"
_MODELFILE = "modelfile"
_KINDS = ("line", "cell")


def load(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``; a second call changes nothing."""
    from localkit.magics.completion import complete
    from localkit.magics.llm import LlmMagic
    from localkit.magics.modelfile import ModelfileMagic

    if _MODELFILE not in shell.magics_manager.magics["cell"]:
        magic = ModelfileMagic(shell).modelfile
        shell.magics_manager.register_function(magic, "cell", _MODELFILE)
    if _NAME not in shell.magics_manager.magics["cell"]:
        shell.magics_manager.register_function(LlmMagic(shell).llm, "line_cell", _NAME)
    if complete not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(complete)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away again; loaded models stay until the kit is closed."""
    from localkit.magics.completion import complete

    for kind in _KINDS:
        for name in (_NAME, _MODELFILE):
            shell.magics_manager.magics[kind].pop(name, None)
    if complete in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete)
