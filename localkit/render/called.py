"""A call that a model made and that was run, as an output of its own."""

from __future__ import annotations

from markupsafe import Markup

from localkit.render.markdown import preformatted
from localkit.render.text import clean, escape, one_line

_HEAD = (
    "font-family:ui-monospace,Menlo,Consolas,monospace;opacity:0.75;margin-bottom:2px"
)
_FOLDED_FROM = 400
MAX_SHOWN_CHARS = 20_000
"""Of one result; the model is told all of it. A cell stays under 1 MiB."""


def called_bundle(name: str, text: str, failed: bool) -> dict[str, str]:
    """Return what a notebook displays of a tool's result.

    Args:
        name: Of the tool; the model wrote it.
        text: What the model is told.
        failed: Whether it says what went wrong. Long texts are folded.
    """
    verb = "failed" if failed else "returned"
    head = f"{one_line(name, limit=80)} {verb}"
    text = clean(text)
    n_cut = len(text) - MAX_SHOWN_CHARS
    if n_cut > 0:
        text = f"{text[:MAX_SHOWN_CHARS]}… {n_cut:,} more characters are not shown"
    body = preformatted(text)
    if len(text) > _FOLDED_FROM:
        body = Markup("<details><summary>{}</summary>{}</details>").format(
            escape(f"{len(text):,} characters"), body
        )
    html = Markup('<div><div style="{}">{}</div>{}</div>').format(
        _HEAD, escape(head), body
    )
    return {"text/plain": f"{head}: {text}", "text/html": str(html)}
