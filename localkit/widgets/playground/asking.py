"""The thread that asks the models, one column after the other."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from localkit.errors import Cancelled, LocalkitError
from localkit.render.text import one_line
from localkit.runtime.params import LoadParams
from localkit.widgets.feed import Feed
from localkit.widgets.work import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.chat.result import Result
    from localkit.events import CancelToken, Progress
    from localkit.kit import Kit
    from localkit.widgets.panel import Panel
    from localkit.widgets.playground.turns import Phase, Turn

_log = logging.getLogger("localkit.widgets")
_PROGRESS_EVERY_S = 0.5
_CUT_SHORT: dict[str, Phase] = {"interrupted": "stopped", "error": "failed"}


class Asking:
    """Asks turns in order and fills in their answers.

    One machine computes for all columns: side by side they would take each other's
    time, and their speeds would say nothing.
    """

    def __init__(
        self,
        kit: Kit,
        panel: Panel,
        *,
        hides: Callable[[Turn], bool],
        on_end: Callable[[Turn], None],
    ) -> None:
        """Ask nothing yet.

        Args:
            kit: Store and runtime.
            panel: Told of text as it comes.
            hides: Whether a turn's text is kept back.
            on_end: Called in the thread when an answer has ended.
        """
        self._kit = kit
        self._panel = panel
        self._hides = hides
        self._on_end = on_end
        self._worker = Worker(on_error=panel.fail, on_change=panel.refresh)
        self._feed = Feed(panel.tell)
        self._pending: list[Turn] = []

    @property
    def busy(self) -> bool:
        """Whether an answer is being written or waits."""
        return self._worker.busy

    def ask(self, turns: Sequence[Turn]) -> None:
        """Put turns at the end of the queue."""
        self._pending = [one for one in self._pending if not one.answer.has_ended]
        self._pending += turns
        for turn in turns:
            self._worker.do(partial(self._answer, turn))

    def stop(self) -> None:
        """End the answer at hand; those that wait are not asked."""
        self._worker.stop()
        for turn in self._pending:
            if turn.answer.phase == "waiting":
                turn.answer.phase = "stopped"
                turn.answer.note = "stopped before it began"
                self._on_end(turn)

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether all is answered, waiting ``timeout`` seconds at most."""
        return self._worker.wait(timeout)

    def _answer(self, turn: Turn, cancel: CancelToken) -> None:
        answer = turn.answer
        if answer.has_ended:
            return
        try:
            answer.phase = "loading"
            self._panel.refresh()
            self._write(turn, cancel)
        except Cancelled:
            answer.phase, answer.note = "stopped", "stopped while the model was loaded"
        except LocalkitError as error:
            answer.phase, answer.note = "failed", one_line(error.one_line(), limit=500)
        except Exception as error:
            answer.phase = "failed"
            answer.note = one_line(f"{type(error).__name__}: {error}", limit=500)
            _log.error("the playground failed", exc_info=error)
        finally:
            self._feed.flush()
            self._on_end(turn)

    def _write(self, turn: Turn, cancel: CancelToken) -> None:
        setup, answer = turn.setup, turn.answer
        model = self._kit.load(
            setup.ref,
            LoadParams(n_ctx=setup.n_ctx),
            on_progress=self._teller(turn),
            cancel=cancel,
        )
        answer.phase = "writing"
        self._panel.refresh()
        answering = model.chat(
            turn.messages(),
            think=setup.think,
            stream=True,
            cancel=cancel,
            **setup.sampling,
        )
        parts: list[str] = []
        try:
            for text in answering:
                parts.append(text)
                if not self._hides(turn):
                    self._feed.add(turn.id, text)
        finally:
            answer.text = "".join(parts)
        _finish(turn, answering.result)

    def _teller(self, turn: Turn) -> Callable[[Progress], None]:
        """Return what tells the views how far loading has come, now and then."""
        not_before = 0.0

        def tell(progress: Progress) -> None:
            nonlocal not_before
            if time.monotonic() >= not_before and not self._hides(turn):
                not_before = time.monotonic() + _PROGRESS_EVERY_S
                total = progress.total
                share = min(1.0, progress.done / total) if total else None
                self._panel.tell(
                    {
                        "kind": "progress",
                        "turn": turn.id,
                        "step": progress.step,
                        "share": share,
                    }
                )

        return tell


def _finish(turn: Turn, result: Result) -> None:
    answer = turn.answer
    answer.text, answer.thinking = result.text, result.thinking
    answer.note, answer.finish_reason = result.note, result.finish_reason
    answer.result = result
    answer.usage = result.usage_line()
    usage = result.usage
    answer.counts = (
        f"prompt {usage.n_prompt} · generated {usage.n_generated} · "
        f"context {result.context_used}/{result.receipt.runtime.n_ctx} · "
        f"{result.finish_reason}"
    )
    answer.phase = "done"
    if result.finish_reason in _CUT_SHORT:
        answer.phase = _CUT_SHORT[result.finish_reason]
    answer.candidate |= {
        "ref": result.receipt.ref,
        "quant": result.receipt.quant,
        "digest": result.receipt.weights_digest,
    }
