"""Tokens as running text: escaped, bounded, and readable without a style sheet."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from localkit.render.tokens import (
    MAX_CHARS,
    MAX_TOKENS,
    PARTS,
    TokenSpan,
    paragraph,
    token_legend,
    token_span,
    token_text,
)
from localkit.render.visible import quoted, visible
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

HARMLESS = {"<span title>", "<div dir>"}


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.titles: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.titles += [value or "" for name, value in attrs if name == "title"]


def read(html: str) -> Texts:
    texts = Texts()
    texts.feed(html)
    texts.close()
    return texts


@pytest.mark.parametrize("name", PAYLOADS)
def test_N1_a_hostile_token_is_shown_and_does_nothing(name: str) -> None:
    payload = PAYLOADS[name]
    shown = visible(payload, keep_lines=True)
    span = TokenSpan(shown, quoted(payload, limit=10_000), 0.5, "rare", parts=True)
    html = (
        token_text([span], hue="surprise").html
        + token_legend([(span, payload)], hue="divergence")
        + paragraph(payload)
    )
    assert set(active_parts(html)) <= HARMLESS
    found = read(html)
    assert characters_that_act(found.text) == []
    for title in found.titles:
        assert characters_that_act(title) == []


def test_what_a_colour_says_a_line_or_a_sign_says_too() -> None:
    styles = {
        mark: token_span(TokenSpan("x", "t", 0.5, mark), hue="surprise")
        for mark in ("", "unlikely", "rare", "control", "differs")
    }
    assert "dotted" in styles["unlikely"]
    assert "2px solid" in styles["rare"]
    assert "border" not in styles[""]
    assert PARTS in token_span(TokenSpan("x", "t", parts=True), hue="divergence")


def test_colours_are_translucent_and_within_bounds() -> None:
    for heat, opacity in ((-1.0, None), (0.0, None), (0.5, "0.25"), (7.0, "0.5")):
        html = token_span(TokenSpan("x", "t", heat), hue="surprise")
        assert (f"rgba(213,94,0,{opacity})" in html) == (opacity is not None)


def test_hovering_tells_the_figures() -> None:
    html = token_text([TokenSpan("a", '"p" 0.5 & <b>')], hue="surprise").html
    assert read(html).titles == ['"p" 0.5 & <b>']


def test_what_is_too_long_is_cut_and_counted() -> None:
    span = TokenSpan("x", "t")
    found = token_text([span] * (MAX_TOKENS + 5), hue="surprise")
    assert found.n_shown == MAX_TOKENS
    assert "… 5 more tokens are not shown" in found.html
    assert "not shown" not in token_text([span] * 5, hue="surprise").html
    wide = token_text([TokenSpan("x" * 1000, "t" * 1000)] * 1000, hue="surprise")
    assert wide.n_shown < 1000
    assert len(wide.html) < MAX_CHARS + 1000
    assert "more tokens are not shown" in wide.html


def test_a_ruler_puts_positions_between_tokens() -> None:
    html = token_text([TokenSpan("x", "t")] * 120, hue="prompt", ruler=50).html
    assert read(html).text == "0" + "x" * 50 + "50" + "x" * 50 + "100" + "x" * 20


def test_tokens_of_a_prompt_stand_in_the_order_in_which_they_are_read() -> None:
    tokens = [TokenSpan("שלום", "t"), TokenSpan("a", "t")]
    assert "unicode-bidi:isolate" in token_text(tokens, hue="prompt").html
    assert 'dir="ltr"' in token_text(tokens, hue="prompt").html
    assert 'dir="auto"' in token_text(tokens, hue="surprise").html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", " the"),
        ("   ", "␣␣␣"),
        ("\n", "⏎"),
        ("a\tb\r", "a⇥b␍"),
        ("\u202e", "⟨U+202E⟩"),
        ("\u200b\xa0", "⟨U+200B⟩⟨U+00A0⟩"),
        ("\x1b[2J", "⟨U+001B⟩[2J"),
        ("\u0301x", "◌\u0301x"),
        ("e\u0301", "e\u0301"),
        ("\ud800", "⟨U+D800⟩"),
        ("😀", "😀"),
        ("", ""),
    ],
)
def test_what_does_not_show_gets_a_sign(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert characters_that_act(visible(text)) == []


def test_line_ends_are_kept_where_lines_are_wanted() -> None:
    assert visible("a\nb", keep_lines=True) == "a⏎\nb"
    assert quoted("x" * 50, limit=5) == "‘xxxx…’"
