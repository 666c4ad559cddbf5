"""A pool over the fake runtime, with a clock and memory that a test sets."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from localkit.errors import DoesNotFit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.memory.context_length import exactly, wish
from localkit.runtime.memory.fit import Plan
from localkit.runtime.params import LoadParams
from localkit.runtime.pool.pool import Pool
from localkit.runtime.pool.pooled import PooledSession
from localkit.runtime.pool.resident import Ask
from localkit.runtime.pool.room import Rules
from tests.evals.fakes import info

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.memory.context_length import Wish
    from localkit.runtime.protocol import Session

DEFAULT_N_CTX = 1024
KIB = 1 << 10
MIB = 1 << 20
# What the fake says of a default load: 2000 bytes of weights, 1 KiB a token, 1 MiB.
SIZE = 2000 + DEFAULT_N_CTX * KIB + MIB


def need(n_ctx: int) -> int:
    """Return the bytes that a fake session of ``n_ctx`` tokens says it allocated."""
    return 2000 + n_ctx * KIB + MIB


def plan_fake(
    _info: ModelInfo,
    _params: LoadParams,
    *,
    wished: Wish | None,
    budget: int | None,
    freed: int,
) -> Plan:
    """Plan as `fit.plan_load` does, knowing exactly what the fake allocates."""
    assert wished is not None
    available = (1 << 60 if budget is None else budget) + freed
    longest = max(0, (available - 2000 - MIB) // KIB)
    if need(wished.wanted) <= available:
        return Plan(wished.wanted, 0, need(wished.wanted), available)
    if longest >= wished.least:
        return Plan(wished.least, 0, need(wished.least), available, reduced=True)
    refusal = DoesNotFit(need(wished.wanted), available, n_ctx_that_fits=longest)
    return Plan(wished.wanted, 0, need(wished.wanted), available, refusal=refusal)


_open: list[Bench] = []


def close_all() -> None:
    """Close the pool of every bench, so that no thread outlives its test."""
    while _open:
        _open.pop().pool.close()


def keep_alive_threads() -> int:
    """Return how many threads wait to unload something."""
    names = [thread.name for thread in threading.enumerate()]
    return names.count("localkit-keep-alive")


@dataclass
class Bench:
    """A pool and what a test changes about it."""

    rules: Rules = field(default_factory=Rules)
    now: float = 1000.0
    plan: Callable[..., Plan] = plan_fake

    def __post_init__(self) -> None:
        self.runtime = FakeRuntime()
        self.pool = Pool(self._load, self.rules, plan=self.plan, clock=lambda: self.now)
        _open.append(self)

    def _load(self, ask: Ask, params: LoadParams, **options: object) -> Session:
        return self.runtime.load(ask.info, params, **options)  # type: ignore[arg-type]

    def open(
        self,
        name: str,
        n_ctx: int | None = None,
        *,
        keep_alive_s: float | None = None,
        apart: bool = False,
    ) -> PooledSession:
        """Return a session of the model called ``name``; nothing is loaded."""
        choose = exactly if apart else wish
        ask = Ask(
            name=name,
            digest=f"sha256:{name}",
            info=replace(info(), name=name),
            params=LoadParams(n_ctx=n_ctx),
            wish=choose(n_ctx, n_ctx_train=4096, default=DEFAULT_N_CTX),
            apart=apart,
        )
        return PooledSession(self.pool, ask, keep_alive_s=keep_alive_s)

    def names(self) -> list[str]:
        """Return what is loaded, the one used last first."""
        return [one.name for one in self.pool.standing() if one.state == "loaded"]

    def until_lines(self, n: int) -> None:
        """Wait until `ps` would show ``n`` lines."""
        until(lambda: len(self.pool.standing()) == n)

    def loads(self) -> list[str]:
        """Return the name of every load so far."""
        return [session.info.name for session in self.runtime.loaded]


def until(condition: Callable[[], object]) -> None:
    """Wait for other threads to have come to a point."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


def wait_for(gate: threading.Event) -> Callable[[object], None]:
    """Return what `FakeRuntime.before_load` calls: it returns when the gate opens."""

    def wait(_: object) -> None:
        assert gate.wait(20)

    return wait


class InThread(threading.Thread):
    """A call on a thread of its own, with what came of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        """Start the call."""
        super().__init__(daemon=True)
        self._call = call
        self.result: object = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Call and keep what comes of it."""
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error

    def done(self) -> InThread:
        """Wait for the end and return the thread."""
        self.join(20)
        assert not self.is_alive()
        return self
