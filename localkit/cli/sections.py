"""Help that lists commands by what they are for, in the order one needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS: Sequence[tuple[str, Sequence[str]]] = (
    ("Get models", ("pull", "search", "quants", "add", "scan")),
    ("Look at them", ("list", "models", "show", "licenses", "du")),
    (
        "Run them",
        ("run", "playground", "history", "inspect", "ps", "monitor", "unload"),
    ),
    (
        "Compare them",
        (
            "which",
            "compare",
            "bench",
            "eval",
            "runs",
            "perplexity",
            "tokens",
            "lm-eval",
            "tasks",
        ),
    ),
    ("Make variants", ("create", "quantize", "imatrix", "cp")),
    ("Keep them right", ("lock", "verify", "replay", "nbval-config")),
    ("Pass on and tidy up", ("push", "export", "rm", "prune")),
    ("This machine", ("info", "log")),
)


class SectionedGroup(click.Group):
    """A group whose help has sections; what is in none comes last."""

    def format_commands(
        self, context: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the commands, section by section."""
        shown = {
            name: command
            for name, command in self.commands.items()
            if not command.hidden
        }
        named = {name for _, names in SECTIONS for name in names}
        others = [name for name in self.list_commands(context) if name not in named]
        width = max(map(len, shown), default=0)
        limit = formatter.width - width - 6
        for title, names in (*SECTIONS, ("Others", others)):
            rows = [
                (name.ljust(width), shown[name].get_short_help_str(limit))
                for name in names
                if name in shown
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
