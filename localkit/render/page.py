"""One self-contained HTML page: no script, no font, no image from elsewhere."""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_IMAGE_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}

_IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}

_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
""")


class Figure(NamedTuple):
    """One number to show large."""

    label: str
    value: str
    note: str = ""


def html_page(title: str, body: Markup) -> str:
    """Return a whole document around ``body``, styled for screen and paper.

    The page's own policy forbids scripts and every request, so it opens offline
    and stays as harmless as its parts.
    """
    return str(_PAGE.format(title=escape(one_line(title)), css=_css(), body=body))


def header(title: str, *, subtitle: str = "", kicker: str = "") -> Markup:
    """Return the head of a page: what it is, of what, and when."""
    above = Markup('<p class="kicker">{}</p>').format(escape(kicker)) if kicker else ""
    below = (
        Markup('<p class="subtitle">{}</p>').format(escape(subtitle))
        if subtitle
        else ""
    )
    return Markup("<header>{}<h1>{}</h1>{}</header>").format(
        above, escape(title), below
    )


def section(title: str, body: Markup, *, note: str = "") -> Markup:
    """Return a titled part of a page, with a quiet line under the title."""
    under = Markup('<p class="note">{}</p>').format(escape(note)) if note else ""
    return Markup("<section><h2>{}</h2>{}{}</section>").format(
        escape(title), under, body
    )


def callout(title: str, body: Markup | str) -> Markup:
    """Return a box for the one thing that a reader must take away."""
    return Markup(
        '<div class="callout"><p class="callout-title">{}</p><div>{}</div></div>'
    ).format(escape(title), escape(body))


def cards(figures: Sequence[Figure]) -> Markup:
    """Return figures side by side, wrapping on a narrow screen."""
    items = Markup("").join(
        Markup(
            '<div class="card"><div class="label">{}</div>'
            '<div class="value">{}</div><div class="note">{}</div></div>'
        ).format(escape(figure.label), escape(figure.value), escape(figure.note))
        for figure in figures
    )
    return Markup('<div class="cards">{}</div>').format(items)


def details(summary: str, body: Markup, *, is_open: bool = False) -> Markup:
    """Return a part that opens on a click; printed, and without CSS, it reads too."""
    state = Markup(" open") if is_open else ""
    return Markup("<details{}><summary>{}</summary>{}</details>").format(
        state, escape(summary), body
    )


def data_element(name: str, json_text: str) -> Markup:
    """Return JSON as an element that shows nothing and that nothing runs.

    ``<``, ``>`` and ``&`` are written as escapes of JSON: no text in it ends it.
    """
    safe = json_text.translate(_IN_SCRIPT)
    return Markup('<script type="application/json" id="{}">{}</script>').format(
        escape(name),
        Markup(safe),  # noqa: S704 - no character of it can end the element
    )


def definitions(pairs: Sequence[tuple[str, Markup | str]]) -> Markup:
    """Return terms with their values, as a two-column list."""
    items = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(escape(term), escape(value))
        for term, value in pairs
    )
    return Markup("<dl>{}</dl>").format(items)


def scrolling(table: Markup) -> Markup:
    """Return a table that scrolls sideways on a narrow screen."""
    return Markup('<div class="scroll">{}</div>').format(table)


def figure(image: bytes, *, alt: str, caption: str = "") -> Markup:
    """Return an image inside the page, with its caption."""
    below = (
        Markup("<figcaption>{}</figcaption>").format(escape(caption)) if caption else ""
    )
    return Markup('<figure><img src="{}" alt="{}">{}</figure>').format(
        data_uri(image), escape(one_line(alt)), below
    )


def data_uri(image: bytes) -> str:
    """Return a PNG or JPEG as an address that holds the image itself.

    Raises:
        ValueError: the bytes are neither.
    """
    for magic, media_type in _IMAGE_TYPES.items():
        if image.startswith(magic):
            return f"data:{media_type};base64,{base64.b64encode(image).decode()}"
    msg = f"an image that begins with {image[:8]!r} is neither PNG nor JPEG"
    raise ValueError(msg)


def _css() -> Markup:
    text = files("localkit.render").joinpath("page.css").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file
