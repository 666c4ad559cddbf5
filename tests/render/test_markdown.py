from __future__ import annotations

import pytest

from localkit.render.markdown import (
    MAX_MARKDOWN_CHARS,
    MAX_SHOWN_CHARS,
    markdown_to_html,
    preformatted,
)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Title", "<h1>Title</h1>"),
        ("a *b* **c** ~~d~~", "<p>a <em>b</em> <strong>c</strong> <s>d</s></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("1 < 2 && 3 > 2", "<p>1 &lt; 2 &amp;&amp; 3 &gt; 2</p>"),
        ("<b>bold</b>", "<p>&lt;b&gt;bold&lt;/b&gt;</p>"),
    ],
)
def test_markdown_is_rendered_and_html_is_shown(text: str, html: str) -> None:
    assert markdown_to_html(text).strip() == html


def test_links_lead_to_the_web_and_send_no_referrer() -> None:
    assert markdown_to_html("[x](https://example.org/?a=1&b=2)").strip() == (
        '<p><a href="https://example.org/?a=1&amp;b=2" rel="noopener noreferrer">x</a>'
        "</p>"
    )


def test_an_image_is_a_link_that_nobody_follows_unasked() -> None:
    html = markdown_to_html("![chart](https://example.org/i.png)")
    assert "<img" not in html
    assert 'href="https://example.org/i.png"' in html
    assert "chart" in html


def test_code_and_tables_carry_their_style_with_them() -> None:
    html = markdown_to_html("```py\nx < 1\n```\n\n|a|b|\n|-|-|\n|1|2|")
    assert '<pre style="' in html
    assert "x &lt; 1" in html
    assert '<td style="border:1px solid' in html
    assert "<style" not in html
    assert "class=" not in html


def test_N2_text_too_long_to_parse_is_shown_as_it_is() -> None:
    text = "[" * (MAX_MARKDOWN_CHARS + 1)
    assert markdown_to_html(text) == preformatted(text)


def test_N2_text_too_long_to_show_is_cut_and_says_so() -> None:
    html = preformatted("<" * (MAX_SHOWN_CHARS + 1234))
    assert "… 1,234 more characters are not shown" in html
    assert html.count("&lt;") == MAX_SHOWN_CHARS
    assert len(markdown_to_html("a" * 10**7)) < 1 << 20


def test_N2_a_small_table_that_renders_large_is_shown_as_text() -> None:
    columns = 900
    text = "|a" * columns + "|\n" + "|-" * columns + "|\n" + "|a\n" * 5000
    assert len(markdown_to_html(text)) < 1 << 20
