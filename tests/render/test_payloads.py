"""Nothing that a model writes runs, asks the network or moves on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.render.markdown import markdown_to_html, preformatted
from localkit.render.page import (
    Figure,
    callout,
    cards,
    definitions,
    details,
    header,
    html_page,
    section,
)
from localkit.render.table import html_table, plain_table
from localkit.render.text import clean, escape, one_line
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Callable

HTML_RENDERERS: dict[str, Callable[[str], str]] = {
    "markdown": markdown_to_html,
    "preformatted": preformatted,
    "escape": escape,
    "table cell": lambda text: html_table(["h"], [[text]], highlight=[0]),
    "table head": lambda text: html_table([text], [["cell"]], caption=text),
    "header": lambda text: header(text, subtitle=text, kicker=text),
    "section": lambda text: section(text, escape(text), note=text),
    "callout": lambda text: callout(text, text),
    "cards": lambda text: cards([Figure(text, text, text)]),
    "details": lambda text: details(text, escape(text)),
    "definitions": lambda text: definitions([(text, text)]),
}
TEXT_RENDERERS: dict[str, Callable[[str], str]] = {
    "clean": clean,
    "one line": one_line,
    "plain table": lambda text: plain_table([text], [[text]]),
}


def test_N1_there_are_at_least_60_payloads() -> None:
    assert len(PAYLOADS) >= 60


each_payload = pytest.mark.parametrize(
    "payload", PAYLOADS.values(), ids=PAYLOADS.keys()
)


@each_payload
def test_N1_html_shows_the_payload_and_does_nothing(payload: str) -> None:
    acting = {
        name: active_parts(html) + characters_that_act(html)
        for name, render in HTML_RENDERERS.items()
        if (html := render(payload))
    }
    assert {name: parts for name, parts in acting.items() if parts} == {}


@each_payload
def test_N1_text_keeps_no_character_that_acts(payload: str) -> None:
    for render in TEXT_RENDERERS.values():
        assert characters_that_act(render(payload)) == []


@each_payload
def test_N1_a_page_is_the_same_but_for_its_title_and_body(payload: str) -> None:
    page = html_page(payload, escape(payload))
    plain = html_page("T", escape("B"))
    title = f"<title>{escape(one_line(payload))}</title>"
    body = f"<main>\n{escape(payload)}\n</main>"
    assert plain == page.replace(title, "<title>T</title>").replace(
        body, "<main>\nB\n</main>"
    )
