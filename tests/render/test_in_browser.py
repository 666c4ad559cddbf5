"""The payloads once more, in a browser that would run them."""

from __future__ import annotations

import shutil

import pytest
from markupsafe import Markup

from localkit.render.markdown import markdown_to_html, preformatted
from localkit.render.page import Figure, callout, cards, details, html_page, section
from localkit.render.table import html_table
from localkit.render.text import escape
from tests.render.payloads import HOST, PAYLOADS, RUN

pytestmark = pytest.mark.browser


def _bare(body: str) -> str:
    """Return a page without a policy: what a notebook's own page is like."""
    return f"<!doctype html><meta charset=utf-8><main>{body}</main>"


def _everything() -> Markup:
    return Markup("").join(
        markdown_to_html(text)
        + preformatted(text)
        + html_table([text], [[text]], caption=text)
        + section(text, callout(text, text), note=text)
        + cards([Figure(text, text, text)])
        + details(text, escape(text), is_open=True)
        for text in PAYLOADS.values()
    )


def test_N1_no_payload_runs_or_asks_the_network(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("pages")
    pages = {
        "bare": _bare(_everything()),
        "page": html_page("".join(PAYLOADS.values()), _everything()),
        # The check itself must be able to fail.
        "control": _bare(f"<img src=http://{HOST}/a.png><script>{RUN}</script>"),
    }
    ran, asked = {}, {}
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, html in pages.items():
            path = folder / f"{name}.html"
            path.write_text(html, encoding="utf-8", errors="strict")
            page = browser.new_page()
            requests: list[str] = []
            page.route("http://**/*", lambda route: route.abort())
            page.route("https://**/*", lambda route: route.abort())
            page.on("request", lambda request, urls=requests: urls.append(request.url))
            page.goto(path.as_uri(), wait_until="load")
            page.evaluate("document.querySelectorAll('*').forEach(e => e.focus())")
            ran[name] = page.evaluate("window.__xss === 1")
            asked[name] = [url for url in requests if url != path.as_uri()]
            page.close()
        browser.close()
    assert ran == {"bare": False, "page": False, "control": True}
    assert asked == {"bare": [], "page": [], "control": [f"http://{HOST}/a.png"]}
