"""The notebook's commands: ``%llm``, ``%%llm``, ``%%modelfile``, their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_NAME = "llm"
_MODELFILE = "modelfile"
_KINDS = ("line", "cell")


def load(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``; a second call changes nothing."""
    from localkit.magics.completion import complete
    from localkit.magics.empty_body import keep_empty_body
    from localkit.magics.llm import LlmMagic
    from localkit.magics.modelfile import ModelfileMagic

    if _MODELFILE not in shell.magics_manager.magics["cell"]:
        magic = ModelfileMagic(shell).modelfile
        shell.magics_manager.register_function(magic, "cell", _MODELFILE)
    if _NAME not in shell.magics_manager.magics["cell"]:
        configured = LlmMagic(shell)
        configurables: list[Any] = shell.configurables
        configurables.append(configured)  # for `%config LlmMagic`
        shell.magics_manager.register_function(configured.llm, "line_cell", _NAME)
    if complete not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(complete)
    if keep_empty_body not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.insert(0, keep_empty_body)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away again; loaded models stay until the kit is closed."""
    from localkit.magics.completion import complete
    from localkit.magics.empty_body import keep_empty_body
    from localkit.magics.llm import LlmMagic

    if keep_empty_body in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(keep_empty_body)
    configurables: list[Any] = shell.configurables
    configurables[:] = [one for one in configurables if not isinstance(one, LlmMagic)]
    for kind in _KINDS:
        for name in (_NAME, _MODELFILE):
            shell.magics_manager.magics[kind].pop(name, None)
    if complete in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete)
