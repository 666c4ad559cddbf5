"""Log-likelihoods and logits of given tokens. Owner thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import Cancelled
from localkit.runtime.protocol import ContinuationScore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.runtime.context import Context
    from localkit.runtime.owner import Emit

# Rows of logits handed over at once: 12 MiB for 49k tokens, 64 MiB for 262k.
_BLOCK_ROWS = 64


def score(
    context: Context,
    prompt: Sequence[int],
    continuations: Sequence[Sequence[int]],
    *,
    n_seq_max: int,
    cancel: CancelToken,
) -> list[ContinuationScore]:
    """Return the score of each continuation; the prompt is computed once.

    The prompt lies in sequence 0. Each continuation gets a sequence of its own
    that shares those cells, and several are computed in one decode. Its first
    token is scored by the prompt's last logits, its last token is never fed.
    """
    context.clear()
    context.prefill(prompt, output=True)
    after_prompt = context.logits(1).copy()
    scores: list[ContinuationScore] = []
    for group in _groups(continuations, context, len(prompt), n_seq_max):
        if cancel.cancelled:
            msg = "scoring was stopped"
            raise Cancelled(msg)
        scores += _score_group(context, len(prompt), after_prompt, group)
    return scores


def _groups(
    continuations: Sequence[Sequence[int]],
    context: Context,
    n_prompt: int,
    n_seq_max: int,
) -> Iterator[list[Sequence[int]]]:
    """Yield runs of continuations that fit one decode and the context."""
    room = min(context.n_batch, context.n_ctx - n_prompt)
    group: list[Sequence[int]] = []
    used = 0
    for continuation in continuations:
        fed = len(continuation) - 1
        # Sequence 0 holds the prompt, so one fewer is free.
        if group and (used + fed > room or len(group) == max(1, n_seq_max - 1)):
            yield group
            group, used = [], 0
        group.append(continuation)
        used += fed
    if group:
        yield group


def _score_group(
    context: Context,
    n_prompt: int,
    after_prompt: NDArray[np.float32],
    group: Sequence[Sequence[int]],
) -> list[ContinuationScore]:
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    for sequence, continuation in enumerate(group, start=1):
        fed = continuation[:-1]
        if fed:
            context.copy_sequence(0, sequence)
        tokens += fed
        positions += range(n_prompt, n_prompt + len(fed))
        sequences += [sequence] * len(fed)
    rows = _rows(context, tokens, positions, sequences)
    scores = []
    for continuation in group:
        logprobs = np.empty(len(continuation))
        greedy = True
        for index, token in enumerate(continuation):
            logits = after_prompt[0] if index == 0 else next(rows)
            logprobs[index] = log_softmax_at(logits, token)
            greedy = greedy and int(logits.argmax()) == token
        scores.append(ContinuationScore(logprobs, greedy))
    for sequence in set(sequences):
        context.drop_sequence(sequence)
    return scores


def _rows(
    context: Context,
    tokens: Sequence[int],
    positions: Sequence[int],
    sequences: Sequence[int],
) -> Iterator[NDArray[np.float32]]:
    """Yield logits row by row, a micro-batch of outputs at a time."""
    for at in range(0, len(tokens), context.n_ubatch):
        part = slice(at, at + context.n_ubatch)
        context.decode(
            tokens[part],
            start=positions[part],
            outputs=slice(None),
            sequences=sequences[part],
        )
        yield from context.logits(len(tokens[part]))


def log_softmax_at(logits: NDArray[np.float32], token: int) -> float:
    """Return the natural log of the probability of ``token``."""
    shifted = logits - logits.max()
    return float(shifted[token]) - float(np.log(np.exp(shifted).sum(dtype=np.float64)))


def emit_logits(
    context: Context,
    tokens: Sequence[int],
    *,
    first: int,
    cancel: CancelToken,
    emit: Emit[NDArray[np.float32]],
) -> None:
    """Emit logits of positions ``first`` to the end in blocks of copies.

    Decodes a micro-batch at a time, so that never more than ``n_ubatch`` rows of
    logits exist; llama-perplexity's figures do not depend on that (measured).
    """
    context.clear()
    for at in range(0, len(tokens), context.n_ubatch):
        part = tokens[at : at + context.n_ubatch]
        wanted = range(max(0, first - at), len(part))
        if cancel.cancelled:
            msg = "scoring was stopped"
            raise Cancelled(msg)
        context.decode(part, start=at, outputs=list(wanted))
        if not wanted:
            continue
        rows = context.logits(len(wanted))
        for block in range(0, len(wanted), _BLOCK_ROWS):
            if not emit(rows[block : block + _BLOCK_ROWS].copy()):
                return
