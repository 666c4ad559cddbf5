"""Awaiting what blocks: each call waits on a thread of its own.

The default executor of asyncio has six threads on a machine with two cores, and
an engine sixteen slots; so threads are started here.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, overload

from localkit.asking.asker import conversations
from localkit.errors import UsageError
from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from typing import Literal

    import numpy as np
    from numpy.typing import NDArray

    from localkit.asking.answering import Answering
    from localkit.chat.result import Result

T = TypeVar("T")

# A cancelled call comes back in some 70 ms; nothing waits for ever.
_GRACE_S = 5.0


@overload
def achat(
    self: Any, messages: Any, *, stream: Literal[True], **options: Any
) -> AsyncAnswering: ...
@overload
def achat(self: Any, messages: Any, **options: Any) -> Awaitable[Any]: ...
def achat(
    self: Any, messages: Any, *, stream: bool = False, **options: Any
) -> AsyncAnswering | Awaitable[Any]:
    """Return what `chat` does, awaited; with ``stream``, for ``async for``.

    Cancelling the task stops the model, then raises ``CancelledError``.
    """
    return _face(self.chat, messages, stream=stream, options=options)


@overload
def agenerate(
    self: Any, prompt: Any, *, stream: Literal[True], **options: Any
) -> AsyncAnswering: ...
@overload
def agenerate(self: Any, prompt: Any, **options: Any) -> Awaitable[Any]: ...
def agenerate(
    self: Any, prompt: Any, *, stream: bool = False, **options: Any
) -> AsyncAnswering | Awaitable[Any]:
    """Return what `generate` does, awaited, as `achat`."""
    return _face(self.generate, prompt, stream=stream, options=options)


def ascore(self: Any, *given: Any, **options: Any) -> Awaitable[Any]:
    """Return what `score` does, awaited, as `achat`."""
    return _call(self.score, given, options)


def aembed(self: Any, *given: Any, **options: Any) -> Awaitable[NDArray[np.float32]]:
    """Return what `embed` does, awaited, as `achat`."""
    return _call(self.embed, given, options)


def arerank(self: Any, *given: Any, **options: Any) -> Awaitable[Any]:
    """Return what `rerank` does, awaited, as `achat`."""
    return _call(self.rerank, given, options)


def _face(
    method: Callable[..., Any], what: Any, *, stream: bool, options: dict[str, Any]
) -> AsyncAnswering | Awaitable[Any]:
    if not stream:
        return _call(method, (what,), options)
    given, is_one = conversations(what)
    if not is_one or options.get("n") or options.get("on_text"):
        msg = "stream=True is awaited for one answer, without on_text"
        raise UsageError(msg, hint="start a task for each answer")
    rest = {name: value for name, value in options.items() if name != "cancel"}
    return AsyncAnswering(
        lambda token: method(given[0], stream=True, cancel=token, **rest),
        options.get("cancel"),
    )


def _call(
    method: Callable[..., Any], given: Sequence[Any], options: dict[str, Any]
) -> Awaitable[Any]:
    rest = {name: value for name, value in options.items() if name != "cancel"}
    return awaited(
        lambda token: method(*given, cancel=token, **rest), options.get("cancel")
    )


async def awaited(work: Callable[[CancelToken], T], cancel: CancelToken | None) -> T:
    """Return what ``work`` returns, called on another thread.

    Raises:
        CancelledError: the task was cancelled; the work has stopped by then.
    """
    token = cancel or CancelToken()
    future = _on_thread(lambda: work(token))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _stopped(future, token)
        raise


class AsyncAnswering:
    """An answer in progress: ``async for`` its text, then read `result`."""

    def __init__(
        self, start: Callable[[CancelToken], Answering], cancel: CancelToken | None
    ) -> None:
        """Keep how to start; nothing is computed before iteration."""
        self._start = start
        self._cancel = cancel or CancelToken()
        self._result: Result | None = None
        self._texts = self._read()

    def __aiter__(self) -> AsyncGenerator[str]:
        """Return the text as it comes; it is handed out once."""
        return self._texts

    async def aclose(self) -> None:
        """Stop the model, where iteration was left early."""
        await self._texts.aclose()

    @property
    def result(self) -> Result:
        """The whole answer, once iteration has ended.

        Raises:
            UsageError: the answer has not been iterated to its end.
        """
        if self._result is None:
            msg = "the answer is not finished"
            raise UsageError(msg, hint="read it with `async for` first")
        return self._result

    async def _read(self) -> AsyncGenerator[str]:
        loop = asyncio.get_running_loop()
        texts: asyncio.Queue[str | None] = asyncio.Queue()

        def put(text: str | None) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(texts.put_nowait, text)

        def work() -> Result:
            try:
                return self._start(self._cancel).wait(put)
            finally:
                put(None)

        future = _on_thread(work)
        try:
            while (text := await texts.get()) is not None:
                yield text
            self._result = await asyncio.shield(future)
        finally:
            if not future.done():
                await _stopped(future, self._cancel)
                if not future.cancelled() and future.exception() is None:
                    self._result = future.result()


def _on_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Start ``work`` on a thread; return what will hold its outcome."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = context.run(work)
        except BaseException as raised:  # handed to who awaits it
            error = raised
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="localkit-await", daemon=True).start()
    return future


async def _stopped(future: asyncio.Future[T], token: CancelToken) -> None:
    """Ask the work to stop and wait until it has."""
    token.cancel()
    await asyncio.wait([future], timeout=_GRACE_S)
    if future.done() and not future.cancelled():
        future.exception()  # looked at, so that nobody is told it never was
