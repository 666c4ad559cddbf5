from __future__ import annotations

import dataclasses
import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from localkit.cli import main
from localkit.errors import UsageError
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.memory.gpus import GpuUse
from localkit.runtime.pool.finished import FinishedRequest
from localkit.widgets.monitor.figures import state_of
from localkit.widgets.monitor.monitor import N_POINTS, Monitor, monitor
from localkit.widgets.monitor.record import record_of
from localkit.widgets.monitor.sample import N_REQUESTS
from tests.fixtures.kits import MODEL, fake_kit
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit
    from tests.widgets.shown import Shown


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    with fake_kit(tiny_gguf, runtime=FakeRuntime(replies=["Hello"] * 50)) as kit:
        yield kit


@pytest.fixture
def view(kit: Kit) -> Iterator[Monitor]:
    view = monitor(kit, every_s=0.5)
    yield view
    view.close()


def request(model: str) -> FinishedRequest:
    return FinishedRequest(
        model, datetime(2026, 1, 1, tzinfo=UTC), 5, 0, 3, 0.1, 50.0, 20.0, "stop"
    )


def test_it_shows_what_is_loaded_and_what_was_answered(kit: Kit, view: Monitor) -> None:
    model = kit.load(MODEL)
    for _ in range(3):
        model.chat("Hi", max_tokens=4)
    view.look()
    state = view.state()
    assert [row[0] for row in state["models"]] == [MODEL]
    assert len(state["requests"]) == 3
    assert state["requests"][0][1] == MODEL
    assert len(state["decode"]) == len(state["prefill"]) == N_POINTS
    plain = view.panel.record.plain
    assert MODEL in plain
    assert "TTFT" in plain
    assert "memory of this process" in plain


def test_nothing_loaded_reads_so(view: Monitor) -> None:
    record = view.panel.record
    assert "no model is loaded in this process" in record.plain
    assert "no request has ended yet" in record.html


def test_N2_what_does_not_change_is_not_sent(view: Monitor, shown: list[Shown]) -> None:
    view.panel.show("front end")
    face = view.panel.face
    assert face is not None
    states: list[object] = []
    face.observe(states.append, "state")
    sample = view.sample()
    view.sample = lambda: sample  # type: ignore[method-assign]
    for _ in range(5):
        view.look()
    assert len(states) <= 1


def test_it_samples_only_while_a_view_is_open(
    view: Monitor, shown: list[Shown]
) -> None:
    view.panel.show("front end")
    seen = [view.samples_now]
    for message in (
        {"do": "open", "view": "a"},
        {"do": "pause", "paused": True},
        {"do": "pause", "paused": False},
        {"do": "leave", "view": "a"},
    ):
        view.panel.hear(message)
        seen.append(view.samples_now)
    assert seen == [False, True, False, True, False]


def test_frozen_it_leaves_a_record_and_samples_no_more(
    kit: Kit, view: Monitor, shown: list[Shown]
) -> None:
    kit.load(MODEL)
    view.panel.show("front end")
    view.panel.hear({"do": "open", "view": "a"})
    view.panel.hear({"do": "freeze"})
    assert not view.samples_now
    assert MODEL in shown[1].html
    assert not shown[1].html.startswith("<details")


def test_a_paused_monitor_keeps_what_it_showed(kit: Kit, view: Monitor) -> None:
    view.look()
    view.pause()
    kit.load(MODEL)
    assert MODEL not in view.panel.record.plain
    view.pause(False)
    assert MODEL in view.panel.record.plain


@pytest.mark.parametrize(
    "message",
    [
        {"do": "open"},
        {"do": "open", "view": "x" * 41},
        {"do": "open", "view": 1},
        {"do": "pause", "paused": "yes"},
        {"do": "close"},
        {"do": "look"},
    ],
)
def test_N3_a_forged_message_is_ignored(view: Monitor, message: object) -> None:
    view.panel.hear(message)
    assert view.panel.n_ignored == 1
    assert not view.samples_now


@pytest.mark.parametrize("name", PAYLOADS)
def test_N1_names_and_devices_are_shown_as_text(view: Monitor, name: str) -> None:
    payload = PAYLOADS[name]
    sample = dataclasses.replace(
        view.sample(),
        requests=(request(payload),),
        gpus=(GpuUse(payload, 1 << 30, 2 << 30, 0.5),),
    )
    record = record_of(sample)
    for tag in ("<script", "<img", "<svg", "<iframe", "<style", "<a ", "<body"):
        assert tag not in record.html.lower()
    assert "\x1b" not in record.plain
    assert "50 % busy" in record.plain


def test_of_many_requests_the_latest_are_shown(kit: Kit, view: Monitor) -> None:
    model = kit.load(MODEL)
    for _ in range(N_REQUESTS + 5):
        model.chat("Hi", max_tokens=1)
    assert len(view.state()["requests"]) == N_REQUESTS
    assert len(kit.requests()) == N_REQUESTS + 5
    assert len(json.dumps(view.state())) < 10_000


def test_requests_are_a_table_for_pandas(kit: Kit) -> None:
    pandas = pytest.importorskip("pandas")
    kit.load(MODEL).chat("Hi", max_tokens=2)
    frame = pandas.DataFrame(kit.requests())
    assert list(frame["model"]) == [MODEL]
    assert frame["ttft_s"].iloc[0] >= 0


def test_a_look_costs_less_than_a_hundredth_of_a_second_every_second(
    kit: Kit, view: Monitor
) -> None:
    model = kit.load(MODEL)
    model.chat("Hi", max_tokens=2)
    view.look()
    start = time.thread_time()
    for _ in range(50):
        view.look()
    assert (time.thread_time() - start) / 50 < 0.01


def test_how_long_a_model_stays_is_told_without_ticking_every_second(
    kit: Kit, view: Monitor
) -> None:
    kit.load(MODEL, keep_alive="5m")
    [line] = view.sample().models
    texts = {
        state_of(dataclasses.replace(line, ends_in_s=ends)) for ends in range(241, 299)
    }
    assert texts == {"unloads in 5 min"}
    forever = dataclasses.replace(line, ends_in_s=float("inf"))
    assert state_of(forever) == "stays loaded"


@pytest.mark.parametrize("every_s", [0.1, 0, -1, float("nan")])
def test_it_does_not_look_more_than_twice_a_second(kit: Kit, every_s: float) -> None:
    with pytest.raises(UsageError, match="every_s"):
        monitor(kit, every_s=every_s)


def test_it_represents_itself_without_an_address(view: Monitor) -> None:
    assert repr(view) == "<Monitor every 0.5 s>"


def test_the_terminal_prints_the_record(kit: Kit) -> None:
    from click.testing import CliRunner

    kit.load(MODEL).chat("Hi", max_tokens=2)
    out = CliRunner().invoke(main, ["monitor"]).stdout
    assert MODEL in out
    assert "finish reason" in out


def test_it_may_be_looked_at_while_models_come_and_go(kit: Kit, view: Monitor) -> None:
    ended = threading.Event()
    errors: list[BaseException] = []

    def look() -> None:
        while not ended.is_set():
            try:
                view.look()
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(20):
        kit.load(MODEL).chat("Hi", max_tokens=1)
        kit.unload(MODEL)
    ended.set()
    thread.join(20)
    assert errors == []
