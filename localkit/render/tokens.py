"""Tokens as text that reads on: coloured and underlined, with figures on hover.

Inline styles and ``title`` alone, which a notebook's sanitizer keeps. What a colour
says, an underline or a sign says too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from markupsafe import Markup

from localkit.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

Hue = Literal["surprise", "divergence", "prompt"]
Mark = Literal["", "unlikely", "rare", "control", "differs"]

MAX_TOKENS = 2000
"""More are not shown; `token_text` says how many."""
MAX_CHARS = 500_000
"""Of HTML for one text of tokens; with what stands around it a record stays below
1 MiB."""
PARTS = "⚑"
"""Stands before the token at which two answers part."""

_COLOURS = {"surprise": "213,94,0", "divergence": "0,114,178", "prompt": "0,158,115"}
_DARKEST = 0.5
"""Opacity of the strongest colour: text stays readable on light and dark."""
_BLOCK = (
    "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9;font-size:14px;"
    "padding:8px 10px;border:1px solid rgba(128,128,128,0.35);border-radius:4px"
)
_LINES = {
    "": "",
    "unlikely": "border-bottom:2px dotted rgba(128,128,128,0.9)",
    "rare": "border-bottom:2px solid rgba(128,128,128,0.9)",
    "control": "border:1px solid rgba(128,128,128,0.7);border-radius:3px",
    "differs": "border-bottom:2px solid rgba(128,128,128,0.9)",
}
_TICK = Markup('<sup style="opacity:0.65;font-size:10px">{}</sup>')


class TokenSpan(NamedTuple):
    """One token to show."""

    shown: str
    """Visible text, line ends kept behind their signs."""
    title: str
    """What hovering tells."""
    heat: float = 0.0
    """0 to 1: how strong its colour is."""
    mark: Mark = ""
    parts: bool = False
    """Whether two answers part here."""


class TokenText(NamedTuple):
    """Tokens as HTML."""

    html: Markup
    n_shown: int


def token_text(
    tokens: Sequence[TokenSpan],
    *,
    hue: Hue,
    n_tokens: int | None = None,
    ruler: int = 0,
    max_chars: int = MAX_CHARS,
) -> TokenText:
    """Return tokens as one running text.

    Args:
        tokens: In order.
        hue: What the colour tells.
        n_tokens: How many there are in all, where ``tokens`` are the first of them.
        ruler: Put the position before every so many tokens; 0: nowhere.
        max_chars: HTML that may be spent; what comes after is counted, not shown.
    """
    spans: list[Markup] = []
    n_chars = 0
    for at, token in enumerate(tokens[:MAX_TOKENS]):
        span = token_span(token, hue=hue)
        if ruler and at % ruler == 0:
            span = _TICK.format(at) + span
        n_chars += len(span)
        if n_chars > max_chars:
            break
        spans.append(span)
    n_cut = (len(tokens) if n_tokens is None else n_tokens) - len(spans)
    note = Markup("")
    if n_cut > 0:
        note = Markup("<p><em>… {:,} more tokens are not shown</em></p>").format(n_cut)
    # A prompt's tokens stand in the order in which they are read; an answer reads on.
    direction = "ltr" if hue == "prompt" else "auto"
    block = Markup('<div dir="{}" style="{}">{}</div>{}').format(
        direction, _BLOCK, Markup("").join(spans), note
    )
    return TokenText(block, len(spans))


def token_span(token: TokenSpan, *, hue: Hue) -> Markup:
    """Return one token as an inline element."""
    order = "unicode-bidi:isolate" if hue == "prompt" else ""
    given = (_background(token.heat, hue), _LINES[token.mark], order)
    style = ";".join(filter(None, given))
    flag = Markup("")
    if token.parts:
        flag = Markup("<strong>{}</strong>").format(PARTS)
        style += ";outline:2px solid rgba(213,94,0,0.95)"
    return Markup('{}<span title="{}" style="{}">{}</span>').format(
        flag, escape(token.title), style.strip(";"), escape(token.shown)
    )


def token_legend(entries: Sequence[tuple[TokenSpan, str]], *, hue: Hue) -> Markup:
    """Return what colours and lines mean: each sample with its meaning."""
    items = Markup(" &nbsp; ").join(
        Markup("{} {}").format(token_span(sample, hue=hue), escape(meaning))
        for sample, meaning in entries
    )
    return Markup('<p style="font-size:12px;line-height:2">{}</p>').format(items)


def paragraph(text: str, *, strong: bool = False) -> Markup:
    """Return a line of text."""
    weight = "600" if strong else "400"
    return Markup('<p style="font-weight:{};margin:6px 0">{}</p>').format(
        weight, escape(text)
    )


def _background(heat: float, hue: Hue) -> str:
    opacity = round(_DARKEST * min(max(heat, 0.0), 1.0), 2)
    return f"background:rgba({_COLOURS[hue]},{opacity:g})" if opacity else ""
