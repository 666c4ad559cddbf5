"""The monitor widget: slots, queue, tok/s, memory by kind, GPU, recent requests."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from localkit.errors import UsageError
from localkit.kit import default_kit
from localkit.runtime.memory.gpus import GpuMeter
from localkit.widgets.monitor.figures import (
    MODEL_HEADERS,
    REQUEST_HEADERS,
    lines,
    model_row,
    request_row,
)
from localkit.widgets.monitor.record import record_of
from localkit.widgets.monitor.sample import take_sample
from localkit.widgets.panel import Action, Panel, Record
from localkit.widgets.ticker import Ticker

if TYPE_CHECKING:
    from localkit.kit import Kit
    from localkit.widgets.monitor.sample import Sample

N_POINTS: Final = 60
"""Samples of the speeds that are drawn."""
LEAST_EVERY_S: Final = 0.5
"""Two messages a second at most."""


class Watch(Action):
    """A view opened or went."""

    do: Literal["open", "leave"]
    view: Annotated[str, Field(max_length=40)]


class Pause(Action):
    """Stop sampling, or go on."""

    do: Literal["pause"]
    paused: bool


class Freeze(Action):
    """Leave the record."""

    do: Literal["freeze"]


class Monitor:
    """What the models of a kit do; it samples only while somebody looks."""

    def __init__(self, kit: Kit, *, every_s: float = 1.0) -> None:
        """Show nothing yet.

        Args:
            kit: Whose models.
            every_s: Seconds between two samples, at least half a second.

        Raises:
            UsageError: ``every_s`` is shorter.
        """
        if not every_s >= LEAST_EVERY_S:
            msg = f"every_s is {every_s:g}"
            raise UsageError(msg, hint=f"sample every {LEAST_EVERY_S} s or slower")
        self._kit = kit
        self.every_s = every_s
        self._gpus: GpuMeter | None = None
        self._latest: Sample | None = None
        # Full from the start: a state that does not change is not sent.
        self._decode = deque([0.0] * N_POINTS, maxlen=N_POINTS)
        self._prefill = deque([0.0] * N_POINTS, maxlen=N_POINTS)
        self._lock = threading.Lock()
        self.panel = Panel("monitor", self, Watch | Pause | Freeze)
        self._ticker = Ticker(self.look, every_s=every_s, on_error=self.panel.fail)

    def __repr__(self) -> str:
        """Say what it is; figures stand in its record."""
        return f"<Monitor every {self.every_s:g} s>"

    def _ipython_display_(self) -> None:
        self.panel.show()

    def sample(self) -> Sample:
        """Return what is so now."""
        with self._lock:
            if self._gpus is None:
                self._gpus = GpuMeter()
            self._latest = sample = take_sample(self._kit, self._gpus)
        return sample

    def look(self) -> None:
        """Take a sample and show it."""
        sample = self.sample()
        self._decode.append(round(sample.decode_per_s, 1))
        self._prefill.append(round(sample.prefill_per_s, 1))
        self.panel.refresh(keep_error=True)

    @property
    def samples_now(self) -> bool:
        """Whether it looks again every so often."""
        return self._ticker.runs

    def pause(self, paused: bool = True) -> None:
        """Stop sampling and keep what is shown; False goes on."""
        self._ticker.pause(paused)
        self.panel.refresh()
        self.panel.keep()

    def freeze(self) -> None:
        """Leave what is so now as ordinary output, without controls."""
        self._ticker.close()
        self.panel.freeze()

    def close(self) -> None:
        """Take it out of the front end; the record stays."""
        self._ticker.close()
        self.panel.close()
        with self._lock:
            if self._gpus is not None:
                self._gpus.close()
                self._gpus = None

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        sample = self._latest or self.sample()
        return {
            "figures": [one._asdict() for one in lines(sample)],
            "modelHeaders": MODEL_HEADERS,
            "models": [model_row(one) for one in sample.models],
            "requestHeaders": REQUEST_HEADERS,
            "requests": [request_row(one) for one in sample.requests],
            "decode": list(self._decode),
            "prefill": list(self._prefill),
            "everyS": self.every_s,
            "paused": self._ticker.paused,
        }

    def act(self, action: Watch | Pause | Freeze) -> None:
        """Do what the front end asks for."""
        match action:
            case Watch(do="open"):
                self._ticker.open(action.view)
            case Watch():
                self._ticker.leave(action.view)
                self.panel.keep()
            case Pause():
                self.pause(action.paused)
            case Freeze():
                self.freeze()

    def record(self) -> Record:
        """Return the sample of this moment; of the last one where it rests."""
        resting = self._ticker.paused and self._latest is not None
        sample = self._latest if resting else self.sample()
        return record_of(sample or self.sample())


def monitor(kit: Kit | None = None, *, every_s: float = 1.0) -> Monitor:
    """Return a monitor of the models that are loaded in this process.

    In a notebook it is alive: it samples every ``every_s`` seconds while it is on
    the page. Elsewhere it prints how things stand.

    Raises:
        UsageError: ``every_s`` is below half a second.
    """
    return Monitor(kit or default_kit(), every_s=every_s)
