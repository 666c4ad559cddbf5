from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from markupsafe import Markup

from localkit.errors import UsageError
from localkit.widgets.panel import MAX_STATE_CHARS, Action, Panel, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.widgets.shown import Shown

HOSTILE = "<img src=x onerror=window.__xss=1>\x1b[31m"

UNFOLDED = '<div class="mathjax_ignore tex2jax_ignore"><b>0</b></div>'


class Add(Action):
    do: Literal["add"]
    n: int


class Raise(Action):
    do: Literal["raise"]


class Counter:
    """A content that counts."""

    def __init__(self) -> None:
        self.count = 0
        self.padding = ""
        self.error: BaseException = UsageError(HOSTILE, hint="do not")
        self.panel = Panel("monitor", self, Add | Raise)

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "padding": self.padding}

    def act(self, action: Add | Raise) -> None:
        if isinstance(action, Raise):
            raise self.error
        self.count += action.n
        self.panel.refresh()
        self.panel.keep()

    def record(self) -> Record:
        html = Markup("<b>{}</b>").format(self.count)
        return Record(f"{HOSTILE} {self.count}", html, f"count {self.count} {HOSTILE}")


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    yield counter
    counter.panel.close()


def state_of(counter: Counter) -> dict[str, Any]:
    assert counter.panel.face is not None
    state: dict[str, Any] = counter.panel.face.state
    return state


def test_a_front_end_gets_the_widget_and_below_it_its_folded_record(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    widget, record = shown
    assert widget.is_widget
    assert widget.plain == "<localkit monitor>"
    assert record.html.startswith(
        '<div class="mathjax_ignore tex2jax_ignore"><details>'
    )
    assert "<b>0</b>" in record.html


@pytest.mark.parametrize("who", ["nobody", "terminal"])
def test_N5_without_a_front_end_the_record_alone_is_shown(
    counter: Counter, shown: list[Shown], who: Literal["nobody", "terminal"]
) -> None:
    counter.panel.show(who)
    [record] = shown
    assert not record.is_widget
    assert record.html == UNFOLDED
    assert counter.panel.face is None


def test_N1_text_of_a_record_acts_on_no_screen(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    assert "<img" not in shown[1].html
    assert "\x1b" not in shown[1].plain


@pytest.mark.parametrize(
    "message",
    [
        None,
        1,
        "add",
        [],
        {},
        {"do": "add"},
        {"do": "add", "n": "1"},
        {"do": "add", "n": 1.5},
        {"do": "add", "n": 1, "more": 1},
        {"do": "__init__", "n": 1},
        {"do": ["add"], "n": 1},
        {"do": "add", "n": {"n": 1}},
        {"do": "x" * 5_000_000},
        {"n": 1},
    ],
    ids=lambda message: repr(message)[:30],
)
def test_N3_a_forged_message_is_ignored(counter: Counter, message: object) -> None:
    counter.panel.hear(message)
    assert counter.count == 0
    assert counter.panel.n_ignored == 1
    assert counter.panel.error == ""


def test_N3_a_message_as_deep_as_the_stack_is_ignored(counter: Counter) -> None:
    message: dict[str, Any] = {}
    for _ in range(100_000):
        message = {"do": message}
    counter.panel.hear(message)
    assert counter.panel.n_ignored == 1
    while message:  # freed one by one: so deep, the collector would overflow
        message = message.pop("do")


def test_N3_a_message_for_a_closed_widget_does_no_harm(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    counter.panel.close()
    counter.panel.hear({"do": "add", "n": 2})
    counter.panel.hear({"do": "raise"})
    counter.panel.tell({"kind": "text"})
    assert shown[1].html.count("<b>2</b>") == 1


def test_a_message_of_the_front_end_reaches_the_content(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    face = counter.panel.face
    assert face is not None
    content = {"method": "custom", "content": {"do": "add", "n": 3}}
    face._handle_msg({"content": {"data": content}, "buffers": []})
    assert state_of(counter)["count"] == 3
    assert "<b>3</b>" in shown[1].html


def test_an_error_is_shown_in_the_widget_and_goes_with_the_next_message(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    counter.panel.hear({"do": "raise"})
    assert state_of(counter)["error"] == (
        "<img src=x onerror=window.__xss=1> → do not"  # text: the view makes it a node
    )
    counter.panel.refresh(keep_error=True)
    assert counter.panel.error
    counter.panel.hear({"do": "add", "n": 1})
    assert state_of(counter)["error"] == ""


def test_a_mistake_of_ours_is_shown_and_logged(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    counter.error = ZeroDivisionError("by nothing")
    counter.panel.hear({"do": "raise"})
    assert counter.panel.error == "ZeroDivisionError: by nothing"
    assert "a widget failed" in caplog.text


def test_N4_an_error_names_no_folder_of_the_machine(counter: Counter) -> None:
    counter.error = UsageError(f"{Path.home()}/secret/model.gguf is damaged")
    counter.panel.hear({"do": "raise"})
    assert counter.panel.error == "~/secret/model.gguf is damaged"


def test_N2_a_state_that_is_too_large_is_not_sent(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    counter.padding = "x" * MAX_STATE_CHARS
    counter.panel.refresh()
    assert "too much to show" in state_of(counter)["error"]
    assert len(repr(state_of(counter))) < 200
    counter.padding = ""
    counter.panel.refresh()
    assert state_of(counter)["count"] == 0


def test_freezing_unfolds_the_record_and_takes_the_controls_away(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    counter.panel.freeze()
    assert state_of(counter)["frozen"] is True
    assert shown[1].html == UNFOLDED
    counter.panel.show("front end")
    assert state_of(counter)["frozen"] is False


def test_shown_twice_the_latest_record_is_kept_up_to_date(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    counter.panel.show("front end")
    counter.panel.hear({"do": "add", "n": 4})
    assert [output.is_widget for output in shown] == [True, False, True, False]
    assert "<b>0</b>" in shown[1].html
    assert "<b>4</b>" in shown[3].html


def test_eight_threads_at_once_lose_nothing(
    counter: Counter, shown: list[Shown]
) -> None:
    counter.panel.show("front end")
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(25):
                counter.panel.hear({"do": "add", "n": 1})
                counter.panel.hear("forged")
                counter.panel.refresh()
                counter.panel.keep()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert state_of(counter)["count"] == 200
    assert "<b>200</b>" in shown[1].html
