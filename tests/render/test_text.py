from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from localkit.render.text import clean, escape, one_line
from tests.render.inspect_html import characters_that_act


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain\ttext\nline", "plain\ttext\nline"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;cut short\nnext", "]0;cut short\nnext"),
        ("mojibake \x93quoted\x94", "mojibake quoted"),
        ("\u202egnp.exe", "gnp.exe"),
        ("half \ud83d", "half \ufffd"),
        ("مرحبا\u200f", "مرحبا\u200f"),
        ("family 👨‍👩‍👧", "family 👨‍👩‍👧"),
    ],
)
def test_clean_keeps_what_is_read_and_drops_what_acts(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(st.characters(codec=None), max_size=60))
def test_clean_is_idempotent_and_leaves_nothing_that_acts(text: str) -> None:
    cleaned = clean(text)
    assert characters_that_act(cleaned) == []
    assert clean(cleaned) == cleaned


def test_one_line_joins_and_marks_a_cut() -> None:
    assert one_line(" a\n\n b\t c ") == "a b c"
    assert one_line("abcdefgh", limit=5) == "abcd…"
    assert one_line("abcde", limit=5) == "abcde"


def test_escape_leaves_html_alone_that_is_known_to_be_safe() -> None:
    assert escape(Markup("<b>x</b>")) == "<b>x</b>"
    assert escape("<b>\"x'</b>") == "&lt;b&gt;&#34;x&#39;&lt;/b&gt;"
