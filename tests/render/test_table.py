from __future__ import annotations

import math

import pytest
from markupsafe import Markup

from localkit.render.table import Cell, html_table, plain_table

HEADERS = ["quant", "bits", "note"]
ROWS: list[list[Cell]] = [
    ["Q4_K_M", 4.85, "fits"],
    ["F16", 16.0, None],
    ["Q2_K", math.nan, "大きい"],
]


def test_plain_table_aligns_numbers_right_and_wide_characters_by_width() -> None:
    assert plain_table(HEADERS, ROWS).splitlines() == [
        "quant   bits  note",
        "------  ----  ------",
        "Q4_K_M  4.85  fits",
        "F16     16.0  –",
        "Q2_K       –  大きい",
    ]


def test_plain_table_has_one_line_a_row_whatever_a_cell_holds() -> None:
    table = plain_table(["a"], [["two\nlines"], [Markup("<b>bold</b>")]])
    assert table.splitlines()[2:] == ["two lines", "bold"]


def test_html_table_needs_no_style_sheet() -> None:
    html = html_table(HEADERS, ROWS, highlight=[1], caption="Quants")
    assert html.startswith('<table class="mathjax_ignore tex2jax_ignore" style=')
    assert html.count("class=") == 1
    assert html.count("<tr") == 4
    assert html.count("font-weight:600") == 2  # the caption and the row set off
    assert '<td style="text-align:right' in html


def test_html_cell_is_escaped_unless_it_is_html_already() -> None:
    html = html_table(["a"], [["<i>"], [Markup("<i>x</i>")]])
    assert "&lt;i&gt;" in html
    assert "<i>x</i>" in html


def test_a_table_without_rows_has_its_head() -> None:
    assert plain_table(["a", "b"], []).splitlines() == ["a  b", "-  -"]
    assert "<tbody></tbody>" in html_table(["a"], [])


def test_align_is_taken_at_its_word() -> None:
    assert plain_table(["ab", "c"], [["x", "yyy"]], align=">^").splitlines() == [
        "ab   c",
        "--  ---",
        " x  yyy",
    ]


@pytest.mark.parametrize("align", ["<", "<>?", "<><>"])
def test_an_alignment_that_does_not_fit_is_refused(align: str) -> None:
    with pytest.raises(ValueError, match="align is"):
        plain_table(HEADERS, ROWS, align=align)


def test_a_short_row_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 2 cells for 3 headers"):
        html_table(HEADERS, [ROWS[0], ["a", "b"]])


def test_a_screen_reader_is_told_which_cells_are_heads() -> None:
    html = html_table(HEADERS, ROWS, row_headers=True)
    assert html.count('<th scope="col"') == len(HEADERS)
    assert html.count('<th scope="row"') == len(ROWS)
    assert '<th scope="row"' not in html_table(HEADERS, ROWS)
