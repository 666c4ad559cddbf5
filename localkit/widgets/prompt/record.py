"""A prompt view as ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.evals.token_views.prompt_text import figures, remarks
from localkit.render.table import html_table
from localkit.render.tokens import (
    MAX_TOKENS,
    TokenSpan,
    paragraph,
    token_legend,
    token_text,
)
from localkit.widgets.panel import Record
from localkit.widgets.tokens.words import named

if TYPE_CHECKING:
    from localkit.evals.token_views.prompt_view import PromptToken, PromptView

HEATS = {"control": 0.9, "opening": 0.6, "template": 0.3, "message": 0.0}
"""How strong the colour of each kind is."""
RULER = 50
"""Positions between two numbers in the text."""


def record(view: PromptView) -> Record:
    """Return all of what the view shows as text and as inline-style HTML."""
    return Record(
        plain=view.plain(),
        html=_html(view),
        title=heading(view),
        metadata={
            "prompt": {
                "ref": view.ref,
                "n_tokens": view.n_tokens,
                "n_ctx": view.n_ctx,
                "max_tokens": view.max_tokens,
                "would_drop": list(view.would_drop),
            }
        },
    )


def heading(view: PromptView) -> str:
    """Return one line that names the view."""
    return f"Prompt of {view.ref} · template {view.template}"


def _html(view: PromptView) -> Markup:
    spans = [_span(one, at) for at, one in enumerate(view.tokens[:MAX_TOKENS])]
    lines = list(figures(view))[1:]
    parts = [
        paragraph(heading(view), strong=True),
        *(paragraph(line) for line in lines),
        token_text(spans, hue="prompt", n_tokens=view.n_tokens, ruler=RULER).html,
        token_legend(
            [
                (TokenSpan("control", "", 0.9, "control"), "control token"),
                (TokenSpan("template", "", 0.3), "written by the template"),
                (TokenSpan("message", "", 0.0), "of a message"),
                (TokenSpan("opening", "", 0.6), "opens the answer"),
            ],
            hue="prompt",
        ),
    ]
    if view.parts:
        rows = [
            (one.number, one.role, one.n_tokens, one.n_chars, one.state, one.why)
            for one in view.parts
        ]
        headers = ("message", "role", "tokens", "characters", "is", "why")
        parts.append(html_table(headers, rows))
    parts += [paragraph(f"• {remark}") for remark in remarks(view)]
    return Markup("").join(parts)


def _span(token: PromptToken, at: int) -> TokenSpan:
    whose = "" if token.message is None else f" {token.message}"
    return TokenSpan(
        token.spelling.shown(keep_lines=True),
        f"{at}: {named(token.spelling)} · id {token.id} · {token.kind}{whose}",
        HEATS[token.kind],
        "control" if token.spelling.control else "",
    )
