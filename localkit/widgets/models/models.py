"""The models widget: pull, quantize, load, unload, pin, remove, and what would fit."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from localkit.evals.report.figures import size
from localkit.kit import default_kit
from localkit.runtime.protocol import LoadParams
from localkit.store.lockfile import NAME, LockedEngine
from localkit.store.ref import as_ref
from localkit.widgets.models.actions import (
    Load,
    ModelsAction,
    OfModel,
    OfSource,
    Plain,
    Quantize,
    Watch,
)
from localkit.widgets.models.fits import budget
from localkit.widgets.models.lane import Lane
from localkit.widgets.models.record import record_of
from localkit.widgets.models.shelf import Shelf
from localkit.widgets.models.state import licence_state, rows_state
from localkit.widgets.models.weighed import weighed_state
from localkit.widgets.panel import Panel, Record
from localkit.widgets.ticker import Ticker

if TYPE_CHECKING:
    from localkit.events import CancelToken, OnProgress
    from localkit.kit import Kit
    from localkit.runtime.pool.standing import Standing
    from localkit.widgets.models.fits import Budget
    from localkit.widgets.models.shelf import Rows

EVERY_S: Final = 1.0
_STORE_EVERY_S: Final = 5.0
"""Other processes pull and remove as well; a list of 500 models takes 40 ms."""
_NOTICEABLE: Final = 0.05
"""A budget that changed by less is not worth another look at every bar."""
QUANTS: Final = (
    *("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K", "F16"),
)


class Models:
    """The models of a kit, with all that can be done with them.

    What takes time is done by two lanes, one after the other in each: pulls and
    quantizations in one; loads and all else in the other. Every method returns at
    once; `wait` waits.
    """

    def __init__(self, kit: Kit, *, prefix: str = "") -> None:
        """Show nothing yet; ``prefix`` narrows to models whose names begin so."""
        self._kit = kit
        self._shelf = Shelf(kit, prefix)
        self._rows: Rows | None = None
        self._rows_at = 0.0
        self._budget: Budget | None = None
        self._licence: dict[str, Any] | None = None
        self._weighed: dict[str, Any] | None = None
        self._lock = threading.RLock()
        self.panel = Panel("models", self, ModelsAction)
        self._ticker = Ticker(self._look, every_s=EVERY_S, on_error=self.panel.fail)
        self._lanes = [
            Lane(
                on_change=lambda: self.panel.refresh(keep_error=True),
                on_progress=self._tell_progress,
                on_error=self.panel.fail,
            )
            for _ in range(2)
        ]
        self._makes, self._does = self._lanes

    def __repr__(self) -> str:
        """Say how many models there are."""
        return f"<Models {len(self._read().rows)} in the store>"

    def _ipython_display_(self) -> None:
        self.panel.show()

    # What can be done.

    def weigh(self, source: str) -> None:
        """Weigh the quants of ``source``, and show which fit."""

        def job(_on_progress: OnProgress, _cancel: CancelToken) -> str:
            weighing = self._kit.quants(source)
            with self._lock:
                self._weighed = weighed_state(source, weighing)
            n = len(weighing.rows)
            return f"{weighing.what}: {n} quant{'s' * (n != 1)} weighed"

        self._does.do(f"weighing {source}", job)

    def pull(self, source: str) -> None:
        """Bring a model into the store."""

        def job(on_progress: OnProgress, cancel: CancelToken) -> str:
            pulled = self._kit.pull(source, on_progress=on_progress, cancel=cancel)
            self._changed()
            return f"{pulled.model.ref}: pulled, {size(pulled.size)}"

        self._makes.do(f"pulling {source}", job)

    def quantize(self, ref: str, *quants: str, requantize: bool = False) -> None:
        """Make copies of a model in other quants."""
        for quant in quants:
            self._quantize(ref, quant, requantize=requantize)

    def _quantize(self, ref: str, quant: str, *, requantize: bool) -> None:
        def job(on_progress: OnProgress, cancel: CancelToken) -> str:
            receipt = self._kit.quantize(
                ref,
                quant,
                allow_requantize=requantize,
                on_progress=on_progress,
                cancel=cancel,
            )
            self._changed()
            return f"{receipt.model.ref}: made, {size(receipt.model.info.file_size)}"

        self._makes.do(f"quantizing {ref} to {quant}", job)

    def load(
        self,
        ref: str,
        *,
        n_ctx: int | None = None,
        keep_alive: str | float | None = None,
    ) -> None:
        """Load a model; ``keep_alive`` of -1 keeps it for ever."""

        def job(on_progress: OnProgress, cancel: CancelToken) -> str:
            model = self._kit.load(
                ref,
                LoadParams(n_ctx=n_ctx),
                keep_alive=keep_alive,
                on_progress=on_progress,
                cancel=cancel,
            )
            self._changed()
            return f"{model.stored.ref}: loaded with {model.session.n_ctx:,} tokens"

        self._does.do(f"loading {ref}", job)

    def unload(self, ref: str) -> None:
        """Free a model's memory."""

        def job(_on_progress: OnProgress, _cancel: CancelToken) -> str:
            freed = self._kit.unload(ref)
            self._changed()
            return f"{ref}: unloaded" if freed else f"{ref}: was not loaded"

        self._does.do(f"unloading {ref}", job)

    def pin(self, ref: str, *, update: bool = False) -> None:
        """Pin a model in ``localkit.lock``; ``update`` takes what is in the store."""

        def job(_on_progress: OnProgress, _cancel: CancelToken) -> str:
            from localkit.runtime import library

            engine = LockedEngine(build=library.version(), features=library.features())
            self._kit.pins.write([as_ref(ref)], engine, update=update)
            self._changed()
            return f"{ref}: pinned in {NAME}"

        self._does.do(f"pinning {ref}", job)

    def unpin(self, ref: str) -> None:
        """Pin a model no longer."""

        def job(_on_progress: OnProgress, _cancel: CancelToken) -> str:
            self._kit.pins.drop([as_ref(ref)])
            self._changed()
            return f"{ref}: no longer pinned in {NAME}"

        self._does.do(f"unpinning {ref}", job)

    def remove(self, ref: str) -> None:
        """Remove a model, and the bytes that no other model uses."""

        def job(_on_progress: OnProgress, _cancel: CancelToken) -> str:
            receipt = self._kit.store.remove(ref)
            with self._lock:
                self._licence = None
            self._changed()
            return f"{receipt.ref}: removed, {size(receipt.freed)} freed"

        self._does.do(f"removing {ref}", job)

    def licence(self, ref: str) -> None:
        """Show the licence texts of a model."""
        row = next((one for one in self._read().rows if one.ref == ref), None)
        with self._lock:
            self._licence = licence_state(ref, row)
        self.panel.refresh()

    def stop(self) -> None:
        """Stop what is being done, and forget what waits."""
        for lane in self._lanes:
            lane.stop()
        self.panel.refresh(keep_error=True)

    def wait(self, timeout: float | None = None) -> bool:
        """Return whether all is done, waiting ``timeout`` seconds a lane at most."""
        return all(lane.wait(timeout) for lane in self._lanes)

    @property
    def said(self) -> tuple[str, ...]:
        """How the last jobs ended."""
        return tuple(line for lane in self._lanes for line in lane.said)

    def refresh(self) -> None:
        """Look at the store again."""
        with self._lock:
            self._rows = self._budget = None
        self.panel.refresh()

    def freeze(self) -> None:
        """Leave what is so now as ordinary output, without controls."""
        self._ticker.close()
        self.panel.freeze()

    def close(self) -> None:
        """Take it out of the front end; the record stays, and so does work at hand."""
        self._ticker.close()
        self.panel.close()

    # What it shows.

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        shelf, limit = self._read(), self._limit()
        with self._lock:
            licence, weighed = self._licence, self._weighed
        return {
            "rows": rows_state(shelf, self._standings(), limit),
            "leftOut": shelf.n_left_out,
            "trouble": shelf.trouble,
            "budget": f"{size(limit.available)} "
            + ("free on the GPU for a load" if limit.on_gpu else "free for a load"),
            "lanes": [lane.state() for lane in self._lanes],
            "quants": QUANTS,
            "licence": licence,
            "weighed": weighed,
        }

    def record(self) -> Record:
        """Return the store and what is loaded as ordinary output."""
        return record_of(self._read(), self._standings(), self._limit(), said=self.said)

    def act(self, action: ModelsAction) -> None:
        """Do what the front end asks for."""
        match action:
            case Watch(do="open"):
                self._ticker.open(action.view)
            case Watch():
                self._ticker.leave(action.view)
            case OfSource(do="weigh"):
                self.weigh(action.source)
            case OfSource():
                self.pull(action.source)
            case Quantize():
                self.quantize(action.ref, action.quant, requantize=action.requantize)
            case Load():
                self.load(action.ref, n_ctx=action.n_ctx, keep_alive=action.keep_alive)
            case OfModel(do="pin"):
                self.pin(action.ref, update=True)
            case OfModel():
                getattr(self, action.do)(action.ref)
            case Plain(do="forget"):
                with self._lock:
                    self._licence = self._weighed = None
                self.panel.refresh()
            case Plain():
                getattr(self, action.do)()

    def _read(self) -> Rows:
        with self._lock:
            if self._rows is None:
                self._rows, self._rows_at = self._shelf.read(), time.monotonic()
            return self._rows

    def _limit(self) -> Budget:
        with self._lock:
            if self._budget is None:
                self._budget = budget()
            return self._budget

    def _standings(self) -> dict[str, Standing]:
        # The latest line of a model wins: `ps` has those that left last.
        return {one.digest: one for one in reversed(self._kit.ps())}

    def _changed(self) -> None:
        """Take note that the store, or what is loaded, is another now."""
        with self._lock:
            self._rows = self._budget = None
        self.panel.keep()

    def _look(self) -> None:
        """Look at what changes by itself."""
        now = budget()
        with self._lock:
            if time.monotonic() - self._rows_at >= _STORE_EVERY_S:
                self._rows = None
            before = self._budget
            change = abs(now.available - before.available) if before else 0
            if before is None or change > _NOTICEABLE * max(before.available, 1):
                self._budget = now
        self.panel.refresh(keep_error=True)

    def _tell_progress(self) -> None:
        lanes = [lane.state() for lane in self._lanes]
        self.panel.tell({"kind": "progress", "lanes": lanes})


def models(kit: Kit | None = None, *, prefix: str = "") -> Models:
    """Return the models widget of a kit: what is stored, loaded, and would fit.

    In a notebook it has controls; elsewhere it prints its tables.
    """
    return Models(kit or default_kit(), prefix=prefix)
