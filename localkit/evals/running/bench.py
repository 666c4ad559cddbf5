"""What every measurement needs: the runtime, the results, the way to report.

A `Station` stands for one candidate loaded one way. It loads the model only
when something is missing, so a comparison whose figures are all stored loads
nothing; what a load turned out to be (threads, GPU layers, …) is remembered per
machine and settings for that.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from localkit.errors import Cancelled
from localkit.evals.comparing.variant import PLAIN
from localkit.evals.running.spec import LoadSpec
from localkit.evals.running.watch import UNWATCHED, Watch
from localkit.events import CancelToken, OnProgress, Progress
from localkit.runtime import hardware, library
from localkit.runtime.pacing import threads
from localkit.runtime.protocol import Fingerprint, LoadParams, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.comparing.family import Candidate
    from localkit.evals.comparing.variant import Variant
    from localkit.evals.running.spec import Spec
    from localkit.evals.runs.database import Cell, Runs
    from localkit.evals.subjects.local import LocalSubject
    from localkit.kit import Kit


def loaded_as(params: LoadParams, variant: Variant) -> LoadParams:
    """Return ``params`` with what ``variant`` says about loading put over them.

    A variant that leaves a field at its default leaves that of ``params``.
    """
    changed = {
        name: getattr(variant, name)
        for name in ("kv_type", "flash_attn", "n_gpu_layers")
        if getattr(variant, name) != getattr(PLAIN, name)
    }
    return replace(params, **changed)


@dataclass(frozen=True, slots=True)
class Bench:
    """The surroundings of all measurements of one comparison."""

    kit: Kit
    runs: Runs
    on_progress: OnProgress
    cancel: CancelToken
    watch: Watch = UNWATCHED
    """Told of figures as they come."""

    def check(self) -> None:
        """Stop here if stopping was asked for.

        Raises:
            Cancelled: it was; what is measured is stored.
        """
        if self.cancel.cancelled:
            msg = "the comparison was stopped"
            raise Cancelled(msg, hint="run it again: it goes on from here")

    @contextmanager
    def station(self, candidate: Candidate, params: LoadParams) -> Iterator[Station]:
        """Give a station for ``candidate``; what it loaded is freed on exit.

        It is loaded with ``params`` as its variant changes them.
        """
        station = Station(self, candidate, loaded_as(params, candidate.variant))
        try:
            yield station
        finally:
            station.close()

    def environment(self) -> dict[str, str | int]:
        """Return what decides how a model is loaded, without loading one."""
        settings = self.kit.settings
        return {
            "runtime": type(self.kit.runtime).__qualname__,
            "engine": library.version(),
            "features": library.features(),
            "devices": "; ".join(device.description for device in hardware.devices()),
            "cores": threads.usable_cores(),
            "n_threads": settings.n_threads or 0,
            "n_gpu_layers": -2
            if settings.n_gpu_layers is None
            else settings.n_gpu_layers,
        }


class Station:
    """One candidate, loaded when it is needed."""

    def __init__(self, bench: Bench, candidate: Candidate, params: LoadParams) -> None:
        self._bench = bench
        self._params = params
        self._session: Session | None = None
        self.candidate = candidate

    @property
    def session(self) -> Session:
        """The loaded model."""
        if self._session is None:
            self._bench.check()
            # Nobody else may use it, nor anything evict it, while it is measured.
            self._session = self._bench.kit.load_apart(
                self.candidate.model, self._params, cancel=self._bench.cancel
            )
            loaded = self._session.fingerprint.as_dict()
            self._memory.put_record("fingerprint", loaded, replace=True)
        return self._session

    @property
    def subject(self) -> LocalSubject:
        """The loaded model as what answers, asked as the variant says."""
        from localkit.evals.subjects.local import LocalSubject

        return LocalSubject(
            self.candidate.model,
            self.session,
            label=self.candidate.label,
            template=self.candidate.variant.template,
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """How the model is loaded, or was when its figures were measured."""
        if self._session is None and "fingerprint" in self._memory.items():
            return Fingerprint(**self._memory.record("fingerprint"))
        return self.session.fingerprint

    @property
    def _memory(self) -> Cell:
        asked = asdict(self._params)
        # Nothing is drafted and no image shown while figures are taken.
        del asked["draft"], asked["projector"]
        spec = LoadSpec(**asked)
        return self._bench.runs.cell(
            self.candidate.weights_digest, spec, self._bench.environment()
        )

    def cell(self, spec: Spec, *, numeric: bool, with_n_ctx: bool = False) -> Cell:
        """Return where the figures of this candidate under ``spec`` are kept.

        ``numeric`` figures depend on what may change a logit, and on the context
        length if ``with_n_ctx``; others on the whole runtime.
        """
        fingerprint = self.fingerprint
        environment = fingerprint.numeric() if numeric else fingerprint.as_dict()
        if with_n_ctx:
            environment["n_ctx"] = fingerprint.n_ctx
        return self._bench.runs.cell(self.candidate.weights_digest, spec, environment)

    def close(self) -> None:
        """Free the model, if it was loaded; the station may load it again."""
        if self._session is not None:
            self._session.close()
            self._session = None


class Steps:
    """Progress of one kind of measurement over all candidates."""

    def __init__(self, bench: Bench, name: str, total: int, unit: str) -> None:
        self._bench = bench
        self._name, self._total, self._unit = name, total, unit
        self._done = self._told = 0
        self._told_at = -math.inf

    def advance(self, count: int = 1) -> None:
        """Report that ``count`` more are measured; stop if that was asked for.

        Long tasks report every thousandth of them, or once a second.
        """
        self._done += count
        now = time.monotonic()
        is_due = self._done - self._told >= self._total // 1000
        if is_due or self._done >= self._total or now - self._told_at >= 1:
            self._told, self._told_at = self._done, now
            self._bench.on_progress(
                Progress(self._name, self._done, self._total, self._unit)
            )
        self._bench.check()
