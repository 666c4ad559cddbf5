"""Awaited answers: side by side, streamed, cancelled."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    ContextTooLong,
    UsageError,
)
from tests.fixtures.asking import GREEDY

if TYPE_CHECKING:
    from localkit.model import Model
    from localkit.runtime.fake import FakeRuntime


def test_awaited_answers_run_side_by_side(llama: Model) -> None:
    async def ask() -> list[str]:
        results = await asyncio.gather(
            llama.agenerate("hello", params=GREEDY),
            llama.achat("hello", params=GREEDY),
            llama.agenerate(["hello", "world"], params=GREEDY),
            llama.ascore("hello", ["world"]),
        )
        return [results[0].text, results[2][0].text, results[1].messages[0].content]

    first, second, said = asyncio.run(ask())
    assert first == second == llama.generate("hello", params=GREEDY).text
    assert said == "hello"


def test_an_awaited_stream_yields_and_has_the_result_then(llama: Model) -> None:
    async def read() -> tuple[str, str]:
        stream = llama.agenerate("hello", stream=True, params=GREEDY)
        with pytest.raises(UsageError, match="not finished"):
            _ = stream.result
        text = "".join([part async for part in stream])
        return text, stream.result.text

    text, whole = asyncio.run(read())
    assert text == whole == llama.generate("hello", params=GREEDY).text


def test_an_awaited_stream_left_early_keeps_what_was_said(llama: Model) -> None:
    async def read() -> bool:
        stream = llama.agenerate("hello", stream=True, temperature=0, max_tokens=450)
        async for _ in stream:
            break
        await stream.aclose()
        return stream.result.partial

    assert asyncio.run(read())


def test_a_cancelled_task_stops_the_model_and_raises_cancelled_error(
    model: Model, runtime: FakeRuntime
) -> None:
    reached, indices = threading.Event(), [0]

    def slowly(index: int) -> None:
        indices[0] = index
        reached.set()
        time.sleep(0.002)

    runtime.before_token = slowly

    async def ask() -> float:
        task = asyncio.ensure_future(
            model.agenerate("a", max_tokens=500, temperature=0)
        )
        while not reached.is_set():
            await asyncio.sleep(0.005)
        start = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.perf_counter() - start

    assert asyncio.run(ask()) < 1.0
    stopped_at = indices[0]
    time.sleep(0.05)
    assert indices[0] == stopped_at < 499


def test_an_error_of_what_is_awaited_reaches_who_awaits_it(llama: Model) -> None:
    async def ask() -> None:
        await llama.agenerate("the " * 900)

    with pytest.raises(ContextTooLong):
        asyncio.run(ask())
