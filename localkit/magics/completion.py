"""The Tab key on a magic's line: commands, options, model refs, quants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from click.shell_completion import ShellComplete
from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.getipython import get_ipython

from localkit.cli import main
from localkit.magics.arguments import Scope, cell_command
from localkit.magics.interpolate import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

_LINE_MAGIC = re.compile(r"\s*(?:[\w., ]+=\s*)?%llm\s+(?P<words>.*)")
_CELL_MAGIC = re.compile(r"%%llm\s+(?P<words>.*)")


@context_matcher()
def complete(context: CompletionContext) -> SimpleMatcherResult:
    """Offer what may stand at the cursor; nothing outside our lines.

    The fragment is what follows the last blank. IPython's own token ends at ``:``
    and ``=`` too, which would complete ``model:q`` to ``model:model:q4_k_m``.
    """
    before = context.text_until_cursor
    command: click.Command = main
    match = _LINE_MAGIC.fullmatch(before)
    if match is None and context.cursor_line == 0:
        command, match = cell_command, _CELL_MAGIC.fullmatch(before)
    fragment = before.rpartition(" ")[2]
    if match is None or OPEN in fragment:
        return {"completions": []}
    words = match["words"].split()
    done = words[: len(words) - bool(fragment)]
    option, equals, value = fragment.partition("=")
    # Behind `--option=` click completes the value alone.
    replaced = value if equals and option.startswith("--") else fragment
    scope = {"obj": Scope(_names())}
    found = ShellComplete(command, scope, "llm", "").get_completions(done, fragment)
    return {
        "completions": [SimpleCompletion(item.value, type=item.type) for item in found],
        "matched_fragment": replaced,
        "suppress": True,
    }


def _names() -> Mapping[str, object]:
    """Return the user's own names, without what IPython puts beside them."""
    shell = get_ipython()
    if shell is None:
        return {}
    hidden = shell.user_ns_hidden
    return {
        name: value
        for name, value in shell.user_ns.items()
        if name not in hidden or value is not hidden[name]
    }
