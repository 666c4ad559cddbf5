"""An answer of a pool's session."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from localkit.events import CancelToken
    from localkit.runtime.params import SamplingParams, ServeParams
    from localkit.runtime.protocol import Session, Stream
    from localkit.runtime.values import FinishReason, Generation, Piece
    from localkit.runtime.vision.images import Image

    Call = Callable[[CancelToken | None], AbstractContextManager[Session]]
    OnEnd = Callable[[Generation, FinishReason | None], None]
    """Given what was answered, and how it ended where that does not say."""


def _nobody(_generation: Generation, _reason: FinishReason | None) -> None:
    """Take no note: what nobody asked for."""


class PooledStream:
    """An answer whose model is in use from its start to its end."""

    def __init__(
        self,
        call: Call,
        prompt: Sequence[int],
        params: SamplingParams,
        serve: ServeParams,
        cancel: CancelToken | None,
        *,
        images: Sequence[Image] = (),
        on_end: OnEnd = _nobody,
    ) -> None:
        """Have the request checked; nothing is computed yet.

        ``on_end`` is called once, when the answer has ended in whatever way.
        """
        self._call, self._cancel = call, cancel
        self._on_end: OnEnd | None = on_end
        self._request = (prompt, params, serve, images)
        self._started = False
        with call(cancel) as session:
            self._session, self._stream = session, self._open(session)

    def _open(self, session: Session) -> Stream:
        prompt, params, serve, images = self._request
        return session.stream(
            prompt, params, images=images, serve=serve, cancel=self._cancel
        )

    @contextmanager
    def _in_use(self) -> Iterator[Stream]:
        """Give the stream, its model loaded."""
        if self._started:
            # It is in the engine's queue, and so in nobody's way to be unloaded.
            yield self._stream
            return
        with self._call(self._cancel) as session:
            if session is not self._session:  # it was unloaded since
                self._session, self._stream = session, self._open(session)
            self._started = True
            yield self._stream

    def start(self) -> None:
        """Queue the answer now; iterating and waiting do so otherwise."""
        with self._in_use() as stream:
            stream.start()

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces as they come; ends early when cancelled."""
        with self._in_use() as stream, self._noted(stream):
            yield from stream

    def wait(self) -> Generation:
        """Compute the answer without reading its pieces, and return it."""
        with self._in_use() as stream, self._noted(stream):
            return stream.wait()

    @contextmanager
    def _noted(self, stream: Stream) -> Iterator[None]:
        """Tell how the answer ended, once."""
        reason: FinishReason | None = None
        try:
            yield
        except (GeneratorExit, KeyboardInterrupt):
            reason = "interrupted"
            raise
        except BaseException:
            reason = "error"
            raise
        finally:
            on_end, self._on_end = self._on_end, None
            if on_end is not None:
                on_end(stream.generation, reason)

    @property
    def generation(self) -> Generation:
        """The whole answer so far; final once iteration has ended."""
        return self._stream.generation
