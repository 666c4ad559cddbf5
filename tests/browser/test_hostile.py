"""One trusted, live notebook with every payload on every surface: nothing acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.browser.conftest import chromium
from tests.browser.traffic import Outside
from tests.fixtures.hostile import SURFACES
from tests.render.payloads import HOST, PAYLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(480)]

CANARY = "canary.example"
CELL = "from tests.fixtures import hostile\nhostile.show({!r})"
# As a curious reader: unfold all, point at all, and give all the focus.
TOUCH = """async () => {
    const outputs = [...document.querySelectorAll('.jp-OutputArea-output')];
    for (const details of document.querySelectorAll('.jp-OutputArea-output details'))
        details.open = true;
    for (const output of outputs) for (const element of output.querySelectorAll('*')) {
        for (const kind of ['mouseover', 'mouseenter', 'focus', 'pointerenter'])
            element.dispatchEvent(new MouseEvent(kind, {bubbles: true}));
        if (element.focus) element.focus();
    }
    await new Promise(resolve => setTimeout(resolve, 500));
    return outputs.length;
}"""
ACTIVE = """() => {
    const active =
        /^(script|iframe|object|embed|link|meta|base|form|style|video|audio|svg)$/;
    const found = {};
    const note = what => { found[what] = (found[what] || 0) + 1; };
    for (const output of document.querySelectorAll('.jp-OutputArea-output'))
        for (const element of output.querySelectorAll('*')) {
            const tag = element.tagName.toLowerCase();
            const ours = element.closest('mjx-container');
            const kind = element.closest('[data-mime-type]')?.dataset.mimeType;
            // pandas puts a scoped style beside its tables.
            const known = ours || element.matches('style[scoped]');
            if (active.test(tag) && !known) note(tag);
            if (tag === 'img' && !element.src.startsWith('data:image/png')) note('img');
            for (const {name, value} of element.attributes) {
                if (name.startsWith('on')) note(name);
                // Lab itself links what looks like an address in plain text.
                const fine = kind === 'text/html' || kind === 'text/markdown'
                    ? /^(https?:|mailto:|#|data:image\\/png)/i
                    : /^(https?:|mailto:|#|data:|file:|$)/i;
                if (/^(href|src|xlink:href|action|formaction)$/.test(name)
                    && !fine.test(value))
                    note(`${tag} ${name}=${value.slice(0, 40)} in ${kind}`);
                if (name === 'style' && /url\\(|fixed|absolute|sticky/i.test(value)
                    && !ours) note(`style=${value.slice(0, 60)}`);
            }
        }
    return found;
}"""


class Shown(NamedTuple):
    """What became of the notebook."""

    ran: object
    active: dict[str, int]
    text: dict[str, str]
    """What is read, by surface."""
    failed: dict[str, str]
    """Surfaces whose own cell failed."""


class Seen(NamedTuple):
    """What became of it, and whom the browser looked for."""

    shown: Shown
    asked: list[str]
    network: str
    """All that the browser did on the network, name look-ups included."""


@pytest.fixture(scope="module")
def seen(
    lab: Lab, smollm2_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    """Run the notebook once, in a browser that writes down whom it looked for."""
    from playwright.sync_api import sync_playwright

    log = tmp_path_factory.mktemp("network") / "log.json"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", f"--log-net-log={log}"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        outside = Outside(page, lab.url)
        shown = _run(lab, page)
        asked = list(outside.asked)
        # The log must be able to tell.
        page.evaluate(
            f"fetch('http://{CANARY}/').catch(() => null).then(() => undefined)"
        )
        browser.close()
    return Seen(shown, asked, log.read_text(encoding="utf-8", errors="replace"))


def _run(lab: Lab, page: Page) -> Shown:
    cells = ["%load_ext localkit", *(CELL.format(name) for name in SURFACES)]
    lab.open(page, "hostile.ipynb", cells)
    lab.run_all(page, timeout=300_000)
    page.evaluate(TOUCH)
    ran = page.evaluate("() => window.__xss ?? null")
    active = page.evaluate(ACTIVE)
    areas = page.locator(".jp-Notebook .jp-Cell").all()[1:]
    text = {
        name: area.locator(".jp-OutputArea").inner_text()
        for name, area in zip(SURFACES, areas, strict=True)
    }
    saved = lab.save(page, "hostile.ipynb")
    failed = {
        name: "\n".join(output.traceback)
        for name, cell in zip(SURFACES, saved.cells[1:], strict=True)
        for output in cell.outputs[-1:]
        if output.output_type == "error" and "hostile.show" in str(output.traceback)
    }
    return Shown(ran, active, text, failed)


def test_every_surface_was_shown(seen: Seen) -> None:
    assert seen.shown.failed == {}
    for name, text in seen.shown.text.items():
        assert "__xss" in text, f"{name} shows no payload"


def test_N1_no_payload_is_executed_on_any_surface(seen: Seen) -> None:
    assert len(PAYLOADS) >= 60
    assert seen.shown.ran is None
    assert seen.shown.active == {}


def test_N1_no_payload_asks_the_network_for_anything(seen: Seen) -> None:
    assert seen.asked == []
    assert CANARY in seen.network
    assert HOST not in seen.network
