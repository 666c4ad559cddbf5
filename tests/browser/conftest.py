"""JupyterLab and a browser, for the few things that only they can show."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import ROOT, Lab, running_lab
from tests.browser.traffic import Outside, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    Shoot = Callable[[Page, str], Path]

__all__ = ["Lab"]

SCREENSHOTS = ROOT / "build/screenshots"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start JupyterLab on an empty folder, with a configuration of its own."""
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start chromium, or skip where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


def chromium() -> str:
    """Return where chromium is; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed (apt install chromium)")
    return found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a window of 1280 pixels, closed after the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture
def traffic(page: Page) -> Traffic:
    """Return what kernels tell the page."""
    return Traffic(page)


@pytest.fixture
def outside(page: Page, lab: Lab) -> Outside:
    """Return what the page asks of anybody but its Lab."""
    return Outside(page, lab.url)


@pytest.fixture(scope="session")
def shoot() -> Shoot:
    """Return what keeps a picture of a page in ``build/screenshots``."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path)
        return path

    return keep
