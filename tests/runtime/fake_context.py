"""A context without weights: each next token is a checksum of the whole sequence.

So a cell that is wrong, lost or another sequence's changes everything after it.
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from localkit.errors import RuntimeFailure
from localkit.runtime.engine.generation import Answer
from localkit.runtime.engine.reading import Reading
from localkit.runtime.engine.scheduler import Scheduler
from localkit.runtime.engine.scoring import Score
from localkit.runtime.engine.slots import Slots
from localkit.runtime.pacing.pace import Pace
from localkit.runtime.params import SamplingParams, ServeParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.events import CancelToken
    from localkit.runtime.engine.speculation import Drafter
    from localkit.runtime.params import Adapter
    from localkit.runtime.values import ContinuationScore, Piece

N_VOCAB = 97
NO_CELLS, ABORTED, FAILED = 1, 2, -3


def next_token(sequence: Sequence[int]) -> int:
    """Return what the fake model says after ``sequence``."""
    return zlib.crc32(np.asarray(sequence, np.int32).tobytes()) % N_VOCAB


def said_after(prompt: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the answer of ``n`` tokens that a request gets alone."""
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(next_token(tokens))
    return tuple(tokens[len(prompt) :])


@dataclass
class Cell:
    """One token's place in the cache."""

    position: int
    token: int
    sequences: set[int]


@dataclass
class FakeContext:
    """Cells counted and checked as llama.cpp does; see `Context`."""

    n_ctx: int = 256
    n_ubatch: int = 64
    n_outputs_max: int = 64
    cut: bool = True
    n_vocab: int = N_VOCAB
    draws_side_by_side: bool = False
    cells: list[Cell] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """Codes that the next decodes return instead of computing."""
    steps: list[Counter[int]] = field(default_factory=list)
    """Tokens by sequence of every decode that succeeded."""
    n_refused: int = 0
    rows: list[int] = field(default_factory=list)
    adapters: list[tuple[Adapter, ...]] = field(default_factory=list)

    def held(self, sequence: int) -> list[int]:
        """Return the tokens of a sequence, which must lie without a gap."""
        cells = [cell for cell in self.cells if sequence in cell.sequences]
        cells.sort(key=lambda cell: cell.position)
        assert [cell.position for cell in cells] == list(range(len(cells)))
        return [cell.token for cell in cells]

    def try_decode(
        self,
        tokens: Sequence[int],
        *,
        start: Sequence[int],
        outputs: Sequence[int],
        sequences: Sequence[int],
    ) -> int:
        assert 0 < len(tokens) <= self.n_ubatch
        assert len(outputs) <= self.n_outputs_max
        if self.codes:
            code = self.codes.pop(0)
            if code != ABORTED:
                return code
            tokens = tokens[: len(tokens) // 2]  # a part may stay in the cells
            self._put(tokens, start, sequences)
            return code
        if len(self.cells) + len(tokens) > self.n_ctx:
            self.n_refused += 1
            return NO_CELLS
        self._put(tokens, start, sequences)
        self.rows = [
            next_token(self.held(sequences[index])[: start[index] + 1])
            for index in outputs
        ]
        self.steps.append(Counter(sequences))
        return 0

    def _put(
        self, tokens: Sequence[int], start: Sequence[int], sequences: Sequence[int]
    ) -> None:
        for token, position, sequence in zip(tokens, start, sequences, strict=False):
            assert position == len(self.held(sequence)), "positions must be consecutive"
            self.cells.append(Cell(position, token, {sequence}))

    def logits(self, n_rows: int) -> Any:
        rows = np.zeros((n_rows, N_VOCAB), np.float32)
        rows[np.arange(n_rows), self.rows[:n_rows]] = 5.0
        return rows

    def failure(self, code: int, n_tokens: int) -> RuntimeFailure:
        return RuntimeFailure(f"code {code} for {n_tokens} tokens")

    def copy_sequence(self, source: int, target: int, *, end: int = -1) -> None:
        assert not self.held(target), "the target must be empty"
        for cell in self.cells:
            if source in cell.sequences and (end < 0 or cell.position < end):
                cell.sequences.add(target)

    def drop_sequence(self, sequence: int, *, start: int = 0) -> bool:
        if not self.cut and 0 < start < len(self.held(sequence)):
            return False
        for cell in self.cells:
            if cell.position >= start:
                cell.sequences.discard(sequence)
        self.cells = [cell for cell in self.cells if cell.sequences]
        return True

    def clear(self) -> None:
        self.cells = []

    def first_position(self, sequence: int) -> int:
        return 0

    def save_sequence(self, sequence: int) -> bytes:
        return bytes(self.held(sequence))

    def load_sequence(self, sequence: int, state: bytes) -> bool:
        if len(self.cells) + len(state) > self.n_ctx:
            return False
        for position, token in enumerate(state):
            self.cells.append(Cell(position, token, {sequence}))
        return True


class FakeVocabulary:
    """Each token is its number and a space; none ends an answer."""

    def ends_generation(self, token: int) -> bool:
        return False

    def piece(self, token: int) -> bytes:
        return f"{token} ".encode()


class Request:
    """An answer or score in the making, and what it handed over."""

    def __init__(self, job: Answer | Score, reading: Reading[Any, Any]) -> None:
        self.job = job
        self.reading = reading

    @property
    def tokens(self) -> tuple[int, ...]:
        return cast("Answer", self.job).so_far().tokens

    @property
    def n_reused(self) -> int:
        return cast("Answer", self.job).so_far().usage.n_reused

    @property
    def scores(self) -> list[ContinuationScore]:
        return cast("list[ContinuationScore]", self.reading.result)


class Engine:
    """A scheduler over a fake context, stepped by hand."""

    def __init__(
        self, context: FakeContext | None = None, *, n_slots: int = 4, n_swa: int = 0
    ) -> None:
        self.context = context or FakeContext()
        seam = cast("Any", self.context)
        self.slots = Slots(seam, n_slots, n_swa=n_swa, cut=self.context.cut)
        self.scheduler = Scheduler(
            seam,
            self.slots,
            adapt=self.context.adapters.append,
            pace=Pace(1, set_threads=lambda _: None),
        )
        self._numbers = itertools.count()

    def ask(
        self,
        prompt: Sequence[int],
        n: int | None = 4,
        *,
        serve: ServeParams | None = None,
        cancel: CancelToken | None = None,
        drafter: Drafter | None = None,
    ) -> Request:
        """Queue an answer of ``n`` tokens."""
        reading: Reading[None, Piece] = Reading(cancel)
        job = Answer(
            cast("Any", FakeVocabulary()),
            prompt,
            SamplingParams(temperature=0, max_tokens=n),
            serve or ServeParams(),
            n_ctx=self.context.n_ctx,
            reading=reading,
            chain=lambda *_: None,
            drafter=drafter,
        )
        return self._queue(job, reading)

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams | None = None,
    ) -> Request:
        """Queue a score."""
        reading: Reading[Any, None] = Reading()
        job = Score(prompt, continuations, serve or ServeParams(), reading)
        return self._queue(job, reading)

    def _queue(self, job: Answer | Score, reading: Reading[Any, Any]) -> Request:
        job.number = next(self._numbers)
        self.scheduler.enqueue(job)
        return Request(job, reading)

    def step(self, n: int = 1) -> None:
        for _ in range(n):
            self.scheduler.step(before=None)
            self.check()

    def run(self, most: int = 2000) -> None:
        """Step until nothing is left to do."""
        for _ in range(most):
            if not self.scheduler.has_work(before=None):
                return
            self.step()
        raise AssertionError(f"still working after {most} steps")

    def check(self) -> None:
        """Hold what each slot believes against what the cells hold."""
        for slot in self.slots.all:
            assert slot.tokens == self.context.held(slot.sequence)


def prompt(seed: int, n: int, *, common: int = 0) -> list[int]:
    """Return ``n`` tokens, the first ``common`` the same for every seed."""
    shared = np.random.default_rng(10**6).integers(0, N_VOCAB, common)
    own = np.random.default_rng(seed).integers(0, N_VOCAB, n - common)
    return [*shared.tolist(), *own.tolist()]
