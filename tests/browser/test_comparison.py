"""A comparison in JupyterLab: it fills while it runs, and can be looked into after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.access import faint, too_wide, unreachable
from tests.browser.conftest import SCREENSHOTS
from tests.browser.lab import IDLE
from tests.browser.traffic import Outside, Traffic
from tests.widgets.comparison.family import HOSTILE, rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.lab import Lab

    Compared = tuple[Page, "Traffic", "Outside", list[str]]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# Measuring waits a little at each step, so that there is something to watch.
SETUP = """\
import time
from pathlib import Path
from localkit.evals.running.bench import Steps
from localkit.kit import set_default
from tests.widgets.comparison.family import scripted
holder = scripted(Path("family"))
set_default(holder.__enter__())
advance = Steps.advance
def slowly(self, count=1):
    time.sleep(0.03)
    advance(self, count)
Steps.advance = slowly
%load_ext localkit
"""
COMPARE = "%llm compare tiny --effort quick --task numbers.jsonl -o comparison"
WIDGET = ".lk"
# What the table has shown on its way, as often as it changed.
WATCH = """() => { window.seen = []; new MutationObserver(() => {
    const box = document.querySelector('.lk table.lk-figures');
    if (box) window.seen.push(box.innerText);
}).observe(document.body, {childList: true, subtree: true, characterData: true}); }"""


@pytest.fixture(scope="module")
def compared(lab: Lab, browser: Browser) -> Iterator[Compared]:
    """Return a page whose notebook has compared; what it was told and has shown."""
    write_rows(lab.folder / "numbers.jsonl", rows())
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    traffic, outside = Traffic(page), Outside(page, lab.url)
    lab.open(page, "compare.ipynb", [SETUP, COMPARE, "comparison.pick"])
    lab.run_cell(page, 0)
    traffic.clear()
    page.evaluate(WATCH)
    lab.select(page, 1)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.locator(f"{WIDGET} .lk-live").first.wait_for()
    page.locator(f"{WIDGET} .lk-waits").first.wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "comparison-live.png")
    page.wait_for_function(IDLE)
    page.wait_for_selector(f"{WIDGET} .lk-samples")
    page.set_default_timeout(15_000)
    yield page, traffic, outside, page.evaluate("() => window.seen")
    page.close()


def widget(page: Page) -> Locator:
    return page.locator(WIDGET).first


def column(page: Page, number: int) -> list[str]:
    """Return the texts of a column of the table of candidates."""
    cells = widget(page).locator(f".lk-figures tbody tr > :nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


def show(page: Page, which: str, *, label: str = "Q2_K") -> None:
    widget(page).locator("[data-key=label]").select_option(label)
    widget(page).locator("[data-key=which]").select_option(which)


def test_N2_the_table_fills_in_few_messages_while_it_runs(
    compared: Compared,
) -> None:
    _, traffic, _, seen = compared
    # How often depends on how busy the machine is; the order does not.
    assert len(set(seen)) >= 3
    assert "…" in seen[0]
    assert "±" not in seen[0]
    assert "±" in seen[-1]
    assert traffic.most_in_a_second() <= 15
    assert traffic.n_bytes("comm_msg", "comm_open") <= 1 << 20


def test_the_report_stands_below_the_widget_once(compared: Compared) -> None:
    page = compared[0]
    assert page.locator(".jp-OutputArea-output :text('Rule: of the')").count() == 1
    report = page.locator(".jp-RenderedHTMLCommon", has_text="Rule: of the")
    assert report.is_visible()


def test_columns_sort_both_ways_without_the_kernel(compared: Compared) -> None:
    page, traffic, _, _ = compared
    traffic.clear()
    first = column(page, 1)
    head = widget(page).get_by_role("button", name="mean KL, nats")
    head.click()
    rising = column(page, 1)
    assert [name[:4] for name in rising] == ["→ F1", "Q8_0", "Q4_0", "Q2_K"]
    assert (
        widget(page).locator("th[aria-sort=ascending]").inner_text().startswith("mean")
    )
    head.click()
    assert column(page, 1) == rising[::-1]
    head.click()
    assert column(page, 1) == first
    assert traffic.shows() == []


def test_N1_flips_are_found_and_opened_as_text_with_their_difference(
    compared: Compared,
) -> None:
    page, _, outside, _ = compared
    show(page, "flips")
    box = widget(page)
    box.get_by_text("of 6 samples").wait_for()
    assert HOSTILE in box.locator(".lk-samples").inner_text()
    first = box.get_by_role("button", name="open sample 4", exact=True)
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    sample = box.locator(".lk-sample")
    sample.get_by_role("heading", name="Sample 4").wait_for()
    shown = sample.inner_text()
    assert "It is 4." in shown
    assert f"It is nine hundred. {HOSTILE}" in shown
    assert "✓ right" in shown
    assert "✗ wrong" in shown
    assert sample.locator("del").first.inner_text() == "4"
    assert "nine hundred" in sample.locator("ins").first.inner_text()
    assert page.evaluate("() => window.__xss") is None
    assert box.locator("img, script").count() == 0
    assert outside.asked == []
    page.keyboard.press("Escape")
    sample.wait_for(state="hidden")
    assert first.evaluate("element => element === document.activeElement")


def test_answers_are_searched_and_come_in_pages(compared: Compared) -> None:
    page = compared[0]
    box = widget(page)
    show(page, "all")
    box.get_by_text("1–25 of 60 samples").wait_for()
    box.get_by_role("button", name="Later").click()
    box.get_by_text("26–50 of 60 samples").wait_for()
    search = box.get_by_label("Search")
    search.fill("comes after 41")
    search.press("Enter")
    box.get_by_text("1–1 of 1 sample").wait_for()
    search.fill("")
    search.press("Enter")
    box.get_by_text("1–25 of 60 samples").wait_for()


def test_plots_and_passages_come_when_they_are_opened(compared: Compared) -> None:
    page = compared[0]
    box = widget(page)
    box.get_by_text("Plots", exact=True).click()
    box.locator(".lk-image").first.wait_for()
    assert box.locator(".lk-image").first.get_attribute("alt")
    box.get_by_text("Passages furthest from the reference").click()
    box.locator(".lk-passages .lk-worst").first.wait_for()
    box.get_by_text("Plots", exact=True).click()
    box.get_by_text("Passages furthest from the reference").click()


def test_it_reads_narrow_wide_light_and_dark(lab: Lab, compared: Compared) -> None:
    page = compared[0]
    show(page, "flips")
    box = widget(page)
    box.get_by_text("of 6 samples").wait_for()
    box.get_by_role("button", name="open sample 8", exact=True).click()
    box.locator(".lk-sample ins").first.wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 1280, "height": 2800})
    for theme in ("Dark", "Light"):
        lab.theme(page, f"JupyterLab {theme}")
        for width in ("390px", ""):
            box.evaluate("(box, width) => { box.style.width = width; }", width)
            kind = f"{theme.lower()}-{'390' if width else '1280'}"
            box.screenshot(path=SCREENSHOTS / f"comparison-{kind}.png")
            assert too_wide(page) == [], kind
        assert faint(page) == []
    assert unreachable(page) == []


def test_frozen_the_report_stays_and_the_controls_go(compared: Compared) -> None:
    page = compared[0]
    box = widget(page)
    box.get_by_role("button", name="Freeze").click()
    box.get_by_role("button", name="Freeze").wait_for(state="hidden")
    report = page.locator(".jp-RenderedHTMLCommon", has_text="Rule: of the")
    assert report.count() == 1
    assert report.is_visible()
