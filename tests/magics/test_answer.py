from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from markupsafe import Markup, escape

from localkit.magics import answer
from localkit.magics.answer import NotebookAnswer, NotebookColumns
from localkit.magics.pacing import CHARS_PER_S, FASTEST_S, Throttle

if TYPE_CHECKING:
    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Answered:
    """As much of a result as a view asks for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def bundle(self, *, markdown: bool = True) -> tuple[dict[str, str], dict[str, Any]]:
        html = f"<p>{self.text}</p>"
        return {"text/plain": self.text, "text/html": html}, {"localkit": {"n": 1}}

    def usage_line(self) -> str:
        return "generated <5> tokens"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the messages that displays send to the front end."""
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    messages: list[dict[str, Any]] = []

    def publish(self: object, data: dict[str, str], metadata=None, **rest: Any) -> None:
        messages.append({"data": dict(data), "metadata": metadata, **rest})

    InteractiveShell.clear_instance()
    InteractiveShell.instance()
    monkeypatch.setattr(DisplayPublisher, "publish", publish)
    yield messages
    InteractiveShell.clear_instance()


def test_N2_updates_are_at_most_12_a_second() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    sent = 0
    for _ in range(1000):
        clock.now += 0.01
        sent += throttle.due(10)
    assert sent <= 10 / FASTEST_S


def test_N2_long_text_is_sent_less_often() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    n_chars = sent_chars = 0
    for _ in range(100_000):
        clock.now += 0.01
        n_chars += 4
        if throttle.due(n_chars):
            sent_chars += n_chars
    assert sent_chars / clock.now <= CHARS_PER_S * 1.1


def test_a_watched_answer_is_replaced_in_place(sent: list[dict[str, Any]]) -> None:
    view = NotebookAnswer(live=True)
    view.write("Blue")
    view.finish(Answered("Blue light"))  # type: ignore[arg-type]
    first, last = sent
    assert first["data"]["text/plain"] == "Blue"
    assert last["update"] is True
    assert first["transient"] == last["transient"]
    assert last["metadata"] == {"localkit": {"n": 1}}


def test_the_figures_under_a_watched_answer_are_escaped(
    sent: list[dict[str, Any]],
) -> None:
    view = NotebookAnswer(live=True)
    view.finish(Answered("Blue"))  # type: ignore[arg-type]
    html = sent[-1]["data"]["text/html"]
    assert html.startswith("<p>Blue</p><div")
    assert "generated &lt;5&gt; tokens" in html
    assert sent[-1]["data"]["text/plain"] == "Blue"


def test_N5_an_unwatched_answer_is_one_output(sent: list[dict[str, Any]]) -> None:
    view = NotebookAnswer(live=False)
    view.write("Blue")
    view.write(" light")
    view.finish(Answered("Blue light"))  # type: ignore[arg-type]
    (only,) = sent
    assert only["data"]["text/html"] == "<p>Blue light</p>"


class Told(Answered):
    """As much of a result as a column asks for."""

    def drawn(self, *, markdown: bool = True) -> tuple[str, Markup]:
        del markdown
        return self.text, escape(self.text)

    def as_dict(self) -> dict[str, Any]:
        return {"n": 1}


def test_N2_columns_are_updated_no_faster_than_one_answer(
    sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(answer, "Throttle", lambda: Throttle(clock))
    view = NotebookColumns(["a", "b", "c"], live=True)
    for n in range(3000):
        clock.now += 0.01
        view.write(n % 3, "word ")
    assert len(sent) <= 30 / FASTEST_S
    assert sum(len(one["data"]["text/plain"]) for one in sent) <= 30 * CHARS_PER_S * 1.1
    before = len(sent)
    for place in range(3):
        view.finish(place, Told("word"), is_last=True)  # type: ignore[arg-type]
    view.close()
    assert len(sent) == before + 1


def test_N2_a_cell_of_many_long_answers_stays_under_a_mebibyte(
    sent: list[dict[str, Any]], runtime: FakeRuntime, kit: Kit
) -> None:
    runtime.replies = ["x" * 9]
    result = kit.load("tiny:f16").chat("A?")
    long = dataclasses.replace(result, text="word " * 40_000)
    view = NotebookColumns([str(n) for n in range(8)], live=False)
    for place in range(8):
        view.finish(place, long)
    view.close()
    (only,) = sent
    assert sum(len(part.encode()) for part in only["data"].values()) < 1 << 20
    assert "more characters are not shown" in only["data"]["text/plain"]


def test_N5_unwatched_columns_are_one_output(sent: list[dict[str, Any]]) -> None:
    view = NotebookColumns(["a", "b"], live=False)
    view.write(0, "Blue")
    view.finish(0, Told("Blue"))  # type: ignore[arg-type]
    view.write(1, "Gre")
    view.close()
    (only,) = sent
    assert only["data"]["text/plain"] == "── a ──\nBlue\n\n── b ──\nGre"
    assert "generated" not in only["data"]["text/html"]
    assert only["metadata"] == {"localkit": {"answers": [{"n": 1}, None]}}
