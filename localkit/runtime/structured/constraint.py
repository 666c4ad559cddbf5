"""What one answer may still say: a mask over the next token's logits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from localkit.errors import GrammarInvalid, RuntimeFailure
from localkit.runtime.structured.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from localkit.runtime.structured.tokens import Tokens


class Masker(threading.local):
    """Applies bit masks to logits; scratch of its own in every thread.

    A table turns each byte of the mask into eight numbers, +inf to keep and -inf to
    forbid, and one `minimum` applies them: 0.013 ms for 49k tokens, 0.061 ms for
    262k, whatever the mask holds; `unpackbits` with `putmask` takes up to 1 ms.
    """

    def __init__(self, n_vocab: int) -> None:
        """Make the table and the scratch for logits of ``n_vocab``."""
        self._n_vocab = n_vocab
        n_words = -(-n_vocab // 32)
        byte = np.arange(256, dtype=np.uint8)[:, None]
        keep = np.unpackbits(byte, axis=1, bitorder="little").astype(bool)
        self._table = np.where(keep, np.float32(np.inf), np.float32(-np.inf))
        self._limits = np.empty((4 * n_words, 8), np.float32)
        self._flat = self._limits.reshape(-1)[:n_vocab]

    def apply(self, bits: NDArray[np.uint32], logits: NDArray[np.float32]) -> None:
        """Set the logits of tokens whose bit is clear to -inf, in place."""
        np.take(self._table, bits.view(np.uint8), axis=0, out=self._limits, mode="clip")
        np.minimum(logits, self._flat, out=logits)


class Constraint:
    """State of one answer. One thread at a time, the owner thread of its model."""

    def __init__(
        self,
        matcher: Any,
        tokens: Tokens,
        masker: Masker,
        on_failure: Callable[[], None],
    ) -> None:
        """Follow ``matcher``, which nobody else advances.

        ``on_failure`` hears that the automaton, shared with other answers, may be
        full or broken.
        """
        self._matcher = matcher
        self._tokens = tokens
        self._masker = masker
        self._on_failure = on_failure
        self._bits = np.zeros(len(tokens.allowed), np.uint32)
        self._n = 0
        self._ended = False
        # llguidance takes the end after a finished answer without counting it.
        self._end_counted = False

    @property
    def finished(self) -> bool:
        """Whether nothing but the end may follow."""
        return self._ended or bool(self._matcher.is_stopped())

    def mask(self, logits: NDArray[np.float32]) -> None:
        """Set the logits of tokens that may not come next to -inf, in place.

        ``logits`` has shape (n_vocab,). Tokens that end an answer stay where it
        may end. Control tokens never stay.

        Raises:
            GrammarInvalid: no token fits, or the grammar became too complex.
        """
        self._masker.apply(self._fill(), logits)

    def check(self) -> None:
        """Make sure that something may come next.

        Raises:
            GrammarInvalid: no token fits, or the grammar is too complex.
        """
        self._fill()

    def allows(self, tokens: Sequence[int]) -> int:
        """Return how many of ``tokens`` may come next, one after the other.

        Tokens that end the answer are not counted. Changes nothing.
        """
        if self.finished:
            return 0
        ends = self._tokens.ends
        upto = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
        n: int = self._matcher.validate_tokens(list(tokens[:upto])) if upto else 0
        return n

    def accept(self, token: int) -> None:
        """Advance by ``token``.

        Raises:
            RuntimeFailure: the mask did not allow it.
            GrammarInvalid: the grammar became too complex.
        """
        may_end = token in self._tokens.ends and not self._ended
        stopped = self._matcher.is_stopped()
        if self._ended or (stopped and not may_end):
            self._refuse(token)
        if not stopped and not self._matcher.consume_token(token):
            error = self._matcher.get_error()
            if "satisfy the grammar" in error or may_end:
                self._refuse(token)
            raise self._failure(error)
        if may_end:
            self._ended, self._end_counted = True, not stopped
        self._n += 1

    def forced(self) -> list[int]:
        """Return the tokens that must come next, as this model would write them.

        Empty where there is a choice, even of how to split the same text into
        tokens. They still have to be accepted.
        """
        if self.finished:
            return []
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return tokens

    def rollback(self, n: int) -> None:
        """Take back the last ``n`` tokens.

        Raises:
            RuntimeFailure: fewer were accepted.
        """
        if not 0 <= n <= self._n:
            msg = f"rollback of {n} tokens, but {self._n} were accepted"
            raise RuntimeFailure(msg, hint="report this, with the grammar")
        self._n -= n
        if n and self._ended:
            self._ended = False
            n -= not self._end_counted
        if n and not self._matcher.rollback(n):
            raise self._failure(self._matcher.get_error())

    def clone(self) -> Constraint:
        """Return an independent copy that stands where this one does."""
        copy = Constraint(
            self._matcher.deep_copy(), self._tokens, self._masker, self._on_failure
        )
        copy._n = self._n
        copy._ended, copy._end_counted = self._ended, self._end_counted
        return copy

    def _fill(self) -> NDArray[np.uint32]:
        """Return one bit per token: whether it may come next."""
        if self._ended:
            return self._tokens.end_bits
        bits = self._bits
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        # After an error llguidance allows the end, as if the answer were complete.
        if self._matcher.is_error():
            raise self._failure(self._matcher.get_error())
        np.bitwise_and(bits, self._tokens.allowed, out=bits)
        if not bits.any():
            raise self._failure("")
        return bits

    def _refuse(self, token: int) -> None:
        msg = f"token {token} was sampled after {self._n} but its structure forbids it"
        raise RuntimeFailure(msg, hint="report this, with the grammar")

    def _failure(self, error: str) -> GrammarInvalid:
        self._on_failure()
        where = f"after {self._n} tokens " if self._n else ""
        said = reason(error, lines=False)
        if not said or said.startswith("NoExtension"):
            msg = f"{where}no token of this model fits the structure"
            return GrammarInvalid(msg, hint="make sure that a text can satisfy it")
        msg = f"{where}the structure is too complex: {said}"
        return GrammarInvalid(msg, hint="make it simpler: fewer counted repetitions")
