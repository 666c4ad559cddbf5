"""A saved notebook, opened by somebody who trusts nobody and has no kernel."""

from __future__ import annotations

import copy
import json
import re
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

import nbformat
import pytest

from tests.browser.access import faint, too_wide, unreachable
from tests.browser.lab import TOKEN
from tests.fixtures.shown import BEGIN, CANARY, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode
    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.conftest import Lab, Shoot
    from tests.browser.traffic import Outside

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(480)]

UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true; })"
OUTPUTS = ".jp-OutputArea-output"


class Live(NamedTuple):
    """The notebook as its author sees it, run and saved."""

    page: Page
    saved: NotebookNode

    def cell(self, kind: str) -> Locator:
        index = 1 + list(KINDS).index(kind)
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)


@pytest.fixture(scope="module")
def live(lab: Lab, browser: Browser, smollm2_gguf: Path) -> Iterator[Live]:
    """Run a notebook with one result of each kind; Lab saves the widgets' state."""
    _set(lab, "@jupyter-widgets/jupyterlab-manager:plugin", {"saveState": True})
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    lab.open(page, "kinds.ipynb", [BEGIN, *(kind.cell for kind in KINDS.values())])
    lab.run_all(page, timeout=240_000)
    yield Live(page, lab.save(page, "kinds.ipynb"))
    page.close()


def _set(lab: Lab, plugin: str, values: dict[str, object]) -> None:
    request = urllib.request.Request(
        f"{lab.url}/lab/api/settings/{plugin}",
        data=json.dumps({"raw": json.dumps(values)}).encode(),
        headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=20).close()


def missing(texts: dict[str, str]) -> list[str]:
    """Return what is not read where it should be."""
    return [
        f"{name}: {word!r}"
        for name, kind in KINDS.items()
        for word in kind.reads
        if word not in texts[name].replace("\xa0", " ")
    ]


def test_every_kind_is_shown_live(live: Live) -> None:
    errors = [
        output.traceback
        for cell in live.saved.cells
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert errors == []
    live.page.evaluate(UNFOLD)
    assert missing({name: live.cell(name).inner_text() for name in KINDS}) == []


def test_N4_a_saved_notebook_holds_no_secret_and_no_path(live: Live, lab: Lab) -> None:
    assert "widgets" in live.saved.metadata, "Lab did not save the widgets' state"
    text = json.dumps(
        [live.saved.metadata, *(cell.outputs for cell in live.saved.cells[1:])]
    )
    assert CANARY not in text
    assert TOKEN not in text
    for folder in (lab.home, lab.folder, lab.folder.parent):
        assert str(folder) not in text
    assert re.search(r"/(?:home|root|tmp|Users)/\w|site-packages", text) is None


@pytest.mark.parametrize("state", ["with their state", "without it"])
def test_N4_an_untrusted_notebook_without_a_kernel_shows_every_result(
    lab: Lab, page: Page, outside: Outside, shoot: Shoot, live: Live, state: str
) -> None:
    # Another byte than the one that was signed, and no kernel to be had.
    notebook = copy.deepcopy(live.saved)
    notebook.metadata["sent_by"] = "somebody"
    if state == "without it":
        del notebook.metadata["widgets"]
    name = f"{state.replace(' ', '_')}.ipynb"
    nbformat.write(notebook, lab.folder / name)
    page.route(
        "**/api/sessions*",
        lambda route: (
            route.abort() if route.request.method == "POST" else route.continue_()
        ),
    )
    lab.visit(page, name)
    page.wait_for_selector(".jp-Notebook .jp-Cell >> nth=10")
    trusted = page.evaluate(
        """() => [...window.jupyterapp.shell.currentWidget.model.cells]
            .filter(cell => cell.type === 'code' && cell.outputs.length)
            .map(cell => cell.trusted)"""
    )
    assert not any(trusted)
    page.wait_for_selector(f"{OUTPUTS} details")
    page.evaluate(UNFOLD)
    cells = page.locator(".jp-Notebook .jp-Cell").all()[1:]
    texts = {
        kind: cell.locator(".jp-OutputArea").inner_text()
        for kind, cell in zip(KINDS, cells, strict=True)
    }
    assert missing(texts) == []
    assert outside.asked == []
    shoot(page, f"untrusted_{name.removesuffix('.ipynb')}")


def test_an_export_that_is_opened_offline_shows_every_result(
    live: Live, browser: Browser, tmp_path: Path, shoot: Shoot
) -> None:
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(live.saved)
    path = tmp_path / "notebook.html"
    path.write_text(html, encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    page.evaluate(UNFOLD)
    cells = page.locator(".jp-CodeCell").all()[1:]
    texts = {
        kind: cell.locator(".jp-Cell-outputWrapper").inner_text()
        for kind, cell in zip(KINDS, cells, strict=True)
    }
    assert missing(texts) == []
    shoot(page, "export_offline")
    context.close()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_kind_reads_in_both_themes_and_on_a_narrow_page(
    lab: Lab, live: Live, theme: str, width: int
) -> None:
    page = live.page
    lab.resize(page, width, 4000)
    lab.theme(page, f"JupyterLab {theme}")
    page.evaluate(UNFOLD)
    for name in KINDS:
        cell = live.cell(name).locator(".jp-OutputArea")
        cell.scroll_into_view_if_needed()
        folder = "build/screenshots"
        cell.screenshot(
            path=f"{folder}/{name.replace(' ', '_')}_{theme.lower()}_{width}.png"
        )
    assert faint(page, OUTPUTS) == []
    assert too_wide(page, ".lk") == []


def test_tab_reaches_every_control_of_every_widget(live: Live) -> None:
    assert live.page.locator(".lk").count() >= 5
    assert unreachable(live.page) == []
