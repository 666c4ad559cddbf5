"""One answer as a notebook shows it: replaced in place while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from localkit.magics.pacing import Throttle
from localkit.render.markdown import markdown_to_html, preformatted
from localkit.render.slot import Slot
from localkit.render.text import clean, escape

if TYPE_CHECKING:
    from localkit.chat.result import Result

Format = Literal["md", "text"]

_FOOTER = Markup('<div style="opacity:0.65;font-size:0.85em;margin-top:0.4em">{}</div>')


class NotebookAnswer:
    """An answer in a display of its own.

    Where nobody watches there is one output, sent when the answer is whole: nbval
    compares the first version of a display, and nbclient stores every version.
    The line of figures is shown to those who watch only; all figures are in the
    output's metadata, which nbval does not compare.
    """

    def __init__(self, *, live: bool, fmt: Format = "md", quiet: bool = False) -> None:
        """Show nothing yet.

        Args:
            live: Someone watches: show the text as it comes, and figures under it.
            fmt: Read the text as Markdown, or show its lines as they are.
            quiet: Show nothing at all.
        """
        self._live = live
        self._markdown = fmt == "md"
        self._quiet = quiet
        self._parts: list[str] = []
        self._n_chars = 0
        self._throttle = Throttle()
        self._slot = Slot(live=live)

    def write(self, text: str) -> None:
        """Take a piece; show all so far if an update is due."""
        self._parts.append(text)
        self._n_chars += len(text)
        if self._live and not self._quiet and self._throttle.due(self._n_chars):
            so_far = "".join(self._parts)
            render = markdown_to_html if self._markdown else preformatted
            data = {"text/plain": clean(so_far), "text/html": str(render(so_far))}
            self._slot.show(data)

    def finish(self, result: Result) -> None:
        """Show the whole answer, always."""
        if self._quiet:
            return
        data, metadata = result.bundle(markdown=self._markdown)
        if self._live:
            # As str: a Markup would escape the text that it is added to.
            data["text/html"] += str(_FOOTER.format(escape(result.usage_line())))
        self._slot.show(data, metadata)
