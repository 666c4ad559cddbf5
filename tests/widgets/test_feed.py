from __future__ import annotations

import threading
from typing import Any

import pytest

from localkit.widgets.feed import EVERY_S, MAX_CHARS, Feed


class Wire:
    """Messages that were sent, and a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[Any] = []

    def text(self, stream: str) -> str:
        return "".join(message["add"].get(stream, "") for message in self.sent)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def feed(wire: Wire) -> Feed:
    return Feed(wire.sent.append, clock=lambda: wire.now)


def test_N2_many_streams_together_send_ten_messages_a_second(
    wire: Wire, feed: Feed
) -> None:
    for step in range(1000):
        wire.now = 100 + step / 1000
        for stream in "abcd":
            feed.add(stream, f"{step} ")
    feed.flush()
    assert len(wire.sent) <= 1 / EVERY_S + 2
    assert wire.text("c") == "".join(f"{step} " for step in range(1000))


def test_the_first_text_is_sent_at_once(wire: Wire, feed: Feed) -> None:
    feed.add("a", "Hello")
    assert wire.sent == [{"kind": "text", "add": {"a": "Hello"}}]


def test_what_waits_is_sent_when_a_stream_ends(wire: Wire, feed: Feed) -> None:
    feed.add("a", "one ")
    feed.add("a", "two")
    assert wire.text("a") == "one "
    feed.flush()
    feed.flush()
    assert wire.text("a") == "one two"
    assert len(wire.sent) == 2


def test_N2_an_endless_stream_is_not_sent_for_ever(wire: Wire, feed: Feed) -> None:
    for _ in range(1000):
        wire.now += 1
        feed.add("a", "x" * 1000)
    assert len(wire.text("a")) <= MAX_CHARS + 1000
    feed.forget("a")
    feed.add("a", "again")
    feed.flush()
    assert wire.text("a").endswith("again")


def test_a_forgotten_stream_sends_nothing_of_what_waited(
    wire: Wire, feed: Feed
) -> None:
    feed.add("a", "sent")
    feed.add("a", "waits")
    feed.forget("a")
    feed.flush()
    assert wire.text("a") == "sent"


def test_threads_that_write_at_once_lose_nothing(wire: Wire) -> None:
    feed = Feed(wire.sent.append)

    def write(stream: str) -> None:
        for index in range(2000):
            feed.add(stream, f"{index} ")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    feed.flush()
    whole = "".join(f"{index} " for index in range(2000))
    assert all(wire.text(name) == whole for name in "abcd")
