"""Perplexity of one loaded model on a text, alone or against a base file."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import NotComparable
from localkit.evals.text.divergence import (
    bits_per_byte,
    compare_chunk,
    perplexity,
    recorded_chunk,
    scored_logits,
    summarize,
)
from localkit.evals.text.documents import cut
from localkit.evals.text.llama_perplexity import printed_perplexity
from localkit.evals.text.log_probs import target_nll
from localkit.evals.text.logits_file import Origin, open_logits, write_logits
from localkit.events import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from localkit.evals.statistics.estimates import Estimate
    from localkit.evals.text.chunks import Chunks
    from localkit.evals.text.divergence import ChunkDivergence, DivergenceSummary
    from localkit.evals.text.logits_file import LogitsFile
    from localkit.events import CancelToken, OnProgress
    from localkit.runtime.protocol import Session

CHUNK = 512
"""Tokens of a window: llama-perplexity's default."""


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """How well a model predicts a text."""

    perplexity: Estimate
    """With the interval clustered by chunk."""
    printed: str
    """llama-perplexity's ``PPL = … +/- …`` for the same chunks, to its digits."""
    bits_per_byte: float
    n_ctx: int
    n_chunks: int
    n_tokens: int
    """Scored tokens."""
    against: DivergenceSummary | None = None
    """Loss against the base file, where one was given."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the figures."""


def measure_text(
    session: Session,
    text: str | Sequence[str],
    *,
    n_ctx: int | None = None,
    max_chunks: int | None = None,
    base: Path | None = None,
    save: Path | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> TextMeasure:
    """Score a text with a model that is loaded, as llama-perplexity does.

    Args:
        session: The model; its context holds ``n_ctx`` tokens.
        text: One text, cut into windows; or documents, scored each by itself.
        n_ctx: Tokens of a window; default: the base file's, else 512.
        max_chunks: Most chunks to score; default: the base file's, else all.
        base: A base file to compare with, ours or llama-perplexity's.
        save: Where to write this model's base file.
        on_progress: Called after every chunk.
        cancel: Stops between two chunks.

    Raises:
        DatasetInvalid: the text is too short.
        NotComparable: the base file measured something else, or both files are
            asked for.
        ResultsInvalid: the base file cannot be read.
        DiskFull: there is no room for the base file.
        ContextTooLong: the session's context is shorter than a window.
        Cancelled: ``cancel`` was raised.
    """
    if base is not None and save is not None:
        msg = "a model is either compared with a base file or writes one"
        raise NotComparable(msg, hint="give --kl-divergence-base or --save-logits")
    file = open_logits(base) if base is not None else None
    chunks = cut(
        session,
        text,
        n_ctx=n_ctx or (file.n_ctx if file else CHUNK),
        max_chunks=_fewest(max_chunks, file),
    )
    nlls: list[NDArray[np.float64]] = []
    compared: list[ChunkDivergence] = []
    origin = Origin.of(session)
    if file is not None:
        file.require_match(chunks, session.n_vocab, origin)
    writing = (
        write_logits(save, chunks, session.n_vocab, origin) if save else nullcontext()
    )
    with writing as writer:
        for index in range(chunks.n_chunks):
            if writer is not None:
                found = recorded_chunk(session, chunks, index, cancel=cancel)
                writer.append(found.rows)
                nlls.append(found.rows.exact.nll)
            elif file is not None:
                record, exact = file.chunk(index)
                one = compare_chunk(
                    session, chunks, index, record, exact, cancel=cancel
                )
                compared.append(one)
                nlls.append(one.nll.astype(np.float64))
            else:
                nlls.append(_nll(session, chunks, index, cancel))
            on_progress(Progress("perplexity", index + 1, chunks.n_chunks, "chunks"))
    flat = np.concatenate(nlls)
    return TextMeasure(
        perplexity=perplexity(nlls),
        printed=printed_perplexity(flat),
        bits_per_byte=bits_per_byte(flat, sum(chunks.n_bytes_scored)),
        n_ctx=chunks.n_ctx,
        n_chunks=chunks.n_chunks,
        n_tokens=flat.size,
        against=summarize(compared) if compared else None,
        notes=_notes(file),
    )


def _fewest(asked: int | None, file: LogitsFile | None) -> int | None:
    if file is None:
        return asked
    return file.n_chunks if asked is None else min(asked, file.n_chunks)


def _nll(
    session: Session, chunks: Chunks, index: int, cancel: CancelToken | None
) -> NDArray[np.float64]:
    parts = [
        target_nll(block, targets)
        for _, block, targets in scored_logits(session, chunks, index, cancel)
    ]
    return np.concatenate(parts)


def _notes(file: LogitsFile | None) -> tuple[str, ...]:
    if file is None:
        return ()
    notes = []
    if file.origin is None:
        notes.append(
            f"{file.path.name} does not say which tokenizer and engine made it: "
            "vocabulary size and tokens are equal, the rest is taken on trust."
        )
    if file.exact is None:
        notes.append(
            "The base's own figures come from its 16-bit record, which may move its "
            "perplexity by a tenth of a per cent."
        )
    return tuple(notes)
