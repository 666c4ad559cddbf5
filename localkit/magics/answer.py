"""Answers as a notebook shows them: replaced in place while they are written."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.magics.pacing import Throttle
from localkit.magics.shaping import Format, shaped
from localkit.render.columns import Column, columns_html, columns_plain
from localkit.render.markdown import MAX_SHOWN_CHARS, markdown_to_html, preformatted
from localkit.render.slot import Slot
from localkit.render.text import clean, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.result import Result

__all__ = ["Format", "NotebookAnswer", "NotebookColumns"]

_FOOTER = Markup('<div style="opacity:0.65;font-size:0.85em;margin-top:0.4em">{}</div>')
_WAITING = Markup('<span style="opacity:0.65">{}</span>')


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
            fmt: Read the text as Markdown, or show its lines, its JSON or its code.
            quiet: Show nothing at all.
        """
        self._live = live
        self._fmt = fmt
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
            html = _drawn(so_far, self._fmt)
            self._slot.show({"text/plain": clean(so_far), "text/html": str(html)})

    def finish(self, result: Result) -> None:
        """Show the whole answer, always."""
        if self._quiet:
            return
        shown = shaped(result, self._fmt)
        data, metadata = shown.bundle(markdown=self._fmt == "md")
        if self._live:
            # As str: a Markup would escape the text that it is added to.
            data["text/html"] += str(_FOOTER.format(escape(result.usage_line())))
        self._slot.show(data, metadata)


class NotebookColumns:
    """Several answers in one display, a column each; otherwise as `NotebookAnswer`."""

    def __init__(
        self,
        titles: Sequence[str],
        *,
        live: bool,
        fmt: Format = "md",
        quiet: bool = False,
    ) -> None:
        """Show nothing yet; the arguments are those of `NotebookAnswer`."""
        self._titles = titles
        self._live = live
        self._fmt = fmt
        self._quiet = quiet
        self._texts = [""] * len(titles)
        self._results: list[Result | None] = [None] * len(titles)
        self._throttle = Throttle()
        self._slot = Slot(live=live)

    def write(self, place: int, text: str) -> None:
        """Take a piece of the answer in ``place``; show all if an update is due."""
        self._texts[place] += text
        n_chars = sum(map(len, self._texts))
        if self._live and not self._quiet and self._throttle.due(n_chars):
            self._show("…")

    def finish(self, place: int, result: Result, *, is_last: bool = False) -> None:
        """Take a whole answer; show it unless `close` follows at once."""
        self._results[place] = result
        if self._live and not self._quiet and not is_last:
            self._show("…")

    def close(self) -> None:
        """Show all answers, always; those that never came are marked."""
        if not self._quiet:
            self._show("was not asked")

    def _show(self, missing: str) -> None:
        plain: list[tuple[str, str]] = []
        columns: list[Column] = []
        for title, text, result in zip(
            self._titles, self._texts, self._results, strict=True
        ):
            if result is None:
                html = _drawn(text, self._fmt) if text else _WAITING.format(missing)
                plain.append((title, clean(text) or missing))
                columns.append(Column(title, html))
                continue
            shown = _cut(
                shaped(result, self._fmt), MAX_SHOWN_CHARS // len(self._titles)
            )
            said, html = shown.drawn(markdown=self._fmt == "md")
            plain.append((title, said))
            foot = result.usage_line() if self._live else ""
            columns.append(Column(title, html, foot))
        bundle = {
            "text/plain": columns_plain(plain),
            "text/html": str(columns_html(columns)),
        }
        figures = [one and one.as_dict() for one in self._results]
        self._slot.show(bundle, {"localkit": {"answers": figures}})


def _cut(result: Result, limit: int) -> Result:
    """Return a result whose text fits into one of several columns; says what is cut."""
    n_cut = len(result.text) - limit
    if n_cut <= 0:
        return result
    note = f"{n_cut:,} more characters are not shown: the result has them"
    return dataclasses.replace(
        result, text=result.text[:limit], notes=(*result.notes, note)
    )


def _drawn(text: str, fmt: Format) -> Markup:
    return markdown_to_html(text) if fmt == "md" else preformatted(text)
