"""What `bench` times: each model, loaded in every way that was asked for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localkit.errors import UsageError
from localkit.evals.comparing.family import Candidate
from localkit.runtime import hardware
from localkit.runtime.pacing import threads
from localkit.runtime.pacing.calibration import thread_counts
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.kit import Kit

_STEPS = 4
"""Into how many steps a sweep over the layers divides them."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Values to try; an axis of none, or of one, sets no load apart from another."""

    n_threads: Sequence[int] = ()
    n_gpu_layers: Sequence[int] = ()
    n_batch: Sequence[int] = ()
    n_ubatch: Sequence[int] = ()
    kv_type: Sequence[str] = ()

    def points(self) -> Iterator[tuple[str, LoadParams]]:
        """Yield every combination, with what names it beside the others."""
        axes: list[tuple[str, Sequence[int | str]]] = [
            ("n_threads", self.n_threads),
            ("n_gpu_layers", self.n_gpu_layers),
            ("n_batch", self.n_batch),
            ("n_ubatch", self.n_ubatch),
            ("kv_type", self.kv_type),
        ]
        tried = [(name, values) for name, values in axes if values]
        for point in itertools.product(*(values for _, values in tried)):
            fields = dict(zip((name for name, _ in tried), point, strict=True))
            label = ", ".join(
                _NAMES[name].format(fields[name])
                for name, values in tried
                if len(values) > 1
            )
            yield label, LoadParams(**fields)  # type: ignore[arg-type]


_NAMES = {
    "n_threads": "n_threads {}",
    "n_gpu_layers": "n_gpu_layers {}",
    "n_batch": "n_batch {}",
    "n_ubatch": "n_ubatch {}",
    "kv_type": "{} KV",
}


@dataclass(frozen=True, slots=True)
class Entrant:
    """One model, loaded one way."""

    candidate: Candidate
    params: LoadParams


def entrants(kit: Kit, models: Sequence[str], axes: Axes) -> tuple[Entrant, ...]:
    """Return every model in every load, in the order asked.

    Raises:
        ModelNotFound: a ref is not in the store.
        LockDrift: it no longer stands for what ``localkit.lock`` pins.
        UsageError: nothing is named, a number makes no sense, or layers are to go
            to a GPU where there is none.
    """
    if not models:
        msg = "no model to time was named"
        raise UsageError(msg, hint="`localkit list` shows what is stored")
    _check(axes)
    found: list[Entrant] = []
    counts: dict[str, int] = {}
    for ref in models:
        stored = kit.resolve(ref)
        for suffix, params in axes.points():
            label = ", ".join(filter(None, (str(stored.ref), suffix)))
            counts[label] = counts.get(label, 0) + 1
            if counts[label] > 1:  # the same twice: what the machine makes of that
                label = f"{label} (again)" + "'" * (counts[label] - 2)
            found.append(Entrant(Candidate(label, stored), params))
    return tuple(found)


def all_threads() -> tuple[int, ...]:
    """Return the thread counts worth trying here, fewest first."""
    return tuple(sorted(thread_counts(threads.usable_cores())))


def all_offloads(n_layers: int) -> tuple[int, ...]:
    """Return offloads from no layer to all, which are one more than ``n_layers``."""
    everything = n_layers + 1
    return tuple(
        sorted({everything * step // _STEPS for step in range(_STEPS + 1)}),
    )


def _check(axes: Axes) -> None:
    for name in ("n_threads", "n_batch", "n_ubatch"):
        wrong = [value for value in getattr(axes, name) if value < 1]
        if wrong:
            msg = f"{name} is {wrong[0]}"
            raise UsageError(msg, hint="give numbers above zero")
    offloads = [value for value in axes.n_gpu_layers if value]
    if offloads and not any(device.is_gpu for device in hardware.devices()):
        msg = f"{offloads[0]} layers are to go to a GPU, and the engine sees none"
        raise UsageError(msg, hint="leave n_gpu_layers out; `localkit info` lists them")
