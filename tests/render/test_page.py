from __future__ import annotations

import json
import re

import pytest
from markupsafe import Markup

from localkit.render.page import (
    Figure,
    callout,
    cards,
    data_element,
    data_uri,
    definitions,
    details,
    figure,
    header,
    html_page,
    scrolling,
    section,
)
from localkit.render.table import html_table

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


def _page() -> str:
    body = Markup("").join(
        [
            header("Which quant?", subtitle="SmolLM2", kicker="localkit"),
            callout("Verdict", "Run Q4_K_M."),
            cards([Figure("Size", "101 MiB", "on disk"), Figure("Speed", "52 tok/s")]),
            section("Table", scrolling(html_table(["a"], [[1]])), note="all of them"),
            section("Plot", figure(PNG, alt="KL against size", caption="Lower left.")),
            details("Method", definitions([("reference", "F16")])),
        ]
    )
    return html_page("Which quant?", body)


def test_a_page_loads_nothing() -> None:
    page = _page()
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_a_page_reads_on_dark_screens_and_on_paper() -> None:
    page = _page()
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert 'name="viewport"' in page


def test_an_image_travels_inside_the_page() -> None:
    assert 'src="data:image/png;base64,iVBORw0KGgo' in _page()


def test_bytes_that_are_no_image_are_refused() -> None:
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        data_uri(b"<svg onload=alert(1)>")


def test_N1_no_text_ends_the_data_inside_a_page() -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 &amp;"
    element = data_element("x", json.dumps({"a": hostile}, ensure_ascii=False))
    inside = element.partition(">")[2].partition("<")[0]
    assert json.loads(inside) == {"a": hostile}
    assert element.endswith("</script>")
    assert element.count("<") == 2
