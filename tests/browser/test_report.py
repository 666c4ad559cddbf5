"""The report in a browser: screens of two widths, both themes, and paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evals.constructed import comparison, ladder, widened

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

# A details element is laid out when it is open, or when paper opens it.
SHOWN = """() => [...document.querySelectorAll('details table')]
    .map(table => table.checkVisibility({contentVisibilityAuto: true}))"""
CLIPPED = """() => [...document.querySelectorAll('table')].filter(table => {
    const box = table.getBoundingClientRect();
    return box.right > document.documentElement.clientWidth + 1;
}).length"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    full = comparison([widened(one) for one in ladder()])
    return full.save(tmp_path_factory.mktemp("report")).html


def opened(browser: Browser, report: Path, **options: object) -> tuple[Page, list[str]]:
    """Return the page, and all that it complained of or asked for."""
    page = browser.new_page(**options)  # type: ignore[arg-type]
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url))
    page.goto(report.as_uri())
    return page, [line for line in told if not line.startswith(("file:", "data:"))]


def until(page: Page, expression: str) -> None:
    """Wait until ``expression`` is true; the page's own policy forbids playwright's."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {expression}")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_its_screen_and_asks_for_nothing(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    page, told = opened(
        browser, report, viewport={"width": width, "height": 844}, color_scheme=scheme
    )
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    sizes = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(sizes) == 8
    assert all(sizes)
    page.close()


def test_a_keyboard_reaches_and_scrolls_the_wide_table(
    browser: Browser, report: Path
) -> None:
    page, _ = opened(browser, report, viewport={"width": 390, "height": 844})
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "The candidates"
    page.keyboard.press("ArrowRight")
    until(page, "document.activeElement.scrollLeft > 0")
    page.close()


def test_paper_shows_what_is_folded_and_clips_no_table(
    browser: Browser, report: Path
) -> None:
    # A4 landscape without its margins, in CSS pixels.
    page, _ = opened(browser, report, viewport={"width": 1032, "height": 703})
    assert not any(page.evaluate(SHOWN))
    page.emulate_media(media="print")
    until(page, f"({SHOWN})().every(Boolean)")
    assert page.evaluate(CLIPPED) == 0
    assert len(page.pdf(prefer_css_page_size=True)) > 50_000
    page.close()


def test_the_record_is_read_from_the_page_and_nothing_is_run(
    browser: Browser, report: Path
) -> None:
    page, _ = opened(browser, report)
    label = page.evaluate(
        "JSON.parse(document.getElementById('localkit-comparison').textContent)"
        ".decision.pick"
    )
    assert label == "Q4_K_M"
    page.close()
