"""Answers side by side, and results of tools, as static HTML."""

from __future__ import annotations

import pytest

from localkit.render.called import called_bundle
from localkit.render.columns import Column, columns_html, columns_plain
from localkit.render.markdown import preformatted
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_N1_no_part_of_a_column_runs(payload: str) -> None:
    html = columns_html([Column(payload, preformatted(payload), payload)] * 2)
    assert active_parts(str(html)) == []
    assert characters_that_act(str(html)) == []


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_N1_neither_name_nor_value_of_a_tool_runs(payload: str) -> None:
    for text in (payload, payload * 50):
        bundle = called_bundle(payload, text, failed=True)
        assert active_parts(bundle["text/html"]) == []
        assert characters_that_act(bundle["text/plain"]) == []


def test_columns_wrap_where_it_is_narrow_and_use_no_style_element() -> None:
    html = str(columns_html([Column("a", preformatted("x"), "")]))
    assert "auto-fit" in html
    assert "<style" not in html
    assert html.count("<div") == 3  # no foot where there is nothing to say


def test_the_plain_text_has_the_titles() -> None:
    assert columns_plain([("a\nb", "x"), ("c", "y")]) == "── a b ──\nx\n\n── c ──\ny"


def test_a_call_says_what_came_of_it() -> None:
    assert called_bundle("f", "4", failed=False)["text/plain"] == "f returned: 4"
    assert called_bundle("f", "no", failed=True)["text/plain"] == "f failed: no"
    assert "<details" not in called_bundle("f", "4", failed=False)["text/html"]
