from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from localkit.render.as_markdown import block, code, folded, inline, table
from localkit.render.text import clean, one_line
from tests.render.payloads import PAYLOADS

MARKS = {
    "emphasis": "*a* **b** _c_ __d__ ~~e~~",
    "link": "[a](http://x.example) <http://x.example> ![i](http://x.example/i.png)",
    "code": "`a` ``b`` and ``` c",
    "table": "a | b \\| c",
    "heading": "# a",
    "list": "- a",
    "number": "1. a",
    "quote": "> a",
    "entity": "&lt;b&gt; &amp;",
    "backslash": "\\* \\",
    "rule": "---",
    "setext": "=== a",
    "formula": "$x$",
}
TEXTS = PAYLOADS | MARKS


def rendered(markdown: str) -> str:
    """Return what a renderer makes of it that obeys HTML."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parser.render(markdown)


def tags(html: str) -> set[str]:
    return set(re.findall(r"<(\w+)", html))


@pytest.mark.parametrize("name", TEXTS)
def test_N1_text_in_a_line_stays_text(name: str) -> None:
    html = rendered(inline(TEXTS[name]))
    assert tags(html) <= {"p"}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("make", [code, block])
def test_N1_text_in_code_stays_text(name: str, make) -> None:
    assert tags(rendered(make(TEXTS[name]))) <= {"p", "pre", "code"}


@pytest.mark.parametrize("name", TEXTS)
def test_N1_a_cell_ends_where_its_column_ends(name: str) -> None:
    cells = [inline(TEXTS[name]), code(TEXTS[name])]
    html = rendered(table(["a", "b"], [cells]))
    assert html.count("<td") == 2
    assert tags(html) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


def test_escaped_text_reads_as_it_was() -> None:
    text = "a*b [c](d) <e> | Q4_K_M 2 < 3 & `x`"
    html = rendered(inline(text))
    shown = html.removeprefix("<p>").removesuffix("</p>\n")
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        shown = shown.replace(entity, sign)
    assert shown == text


def test_names_and_figures_are_not_littered_with_escapes() -> None:
    text = "Q4_K_M: 16.00 bits, 0.0412 ± 0.0060 (−1.0 to 2.0), 38 %"
    assert inline(text) == text


@pytest.mark.parametrize("text", ["http://x.example/a", "www.x.example", "hi @someone"])
def test_what_github_would_link_by_itself_is_taken_apart(text: str) -> None:
    escaped = inline(text)
    assert "http://" not in escaped
    assert "www." not in escaped
    assert "@someone" not in escaped


def test_code_keeps_backticks_and_a_block_its_lines() -> None:
    assert code("a ``b`` c") == "```a ``b`` c```"
    assert code("`a`") == "`` `a` ``"
    assert block("a\n```\nb") == "````\na\n```\nb\n````"
    assert one_line(clean("a\n\nb")) == "a b"


def test_columns_of_figures_stand_right() -> None:
    assert table(["a", "b"], [["x", "1"]], align="<>").splitlines() == [
        "| a | b |",
        "| --- | --: |",
        "| x | 1 |",
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_N1_the_name_of_a_folded_part_stays_text(name: str) -> None:
    html = rendered(folded(TEXTS[name], "**body**"))
    assert tags(html) <= {"details", "summary", "p", "strong"}
    assert "<strong>body</strong>" in html
