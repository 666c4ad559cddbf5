"""What the tests of many requests have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, ServeParams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

# Batching moves a logprob of the tiny float32 model by 0.004 at most.
_ATOL = 0.02


def load(path: Path, *, n_ctx: int) -> LlamaSession:
    return LlamaRuntime().load(read_info(path), LoadParams(n_ctx=n_ctx, n_threads=1))


class Case(NamedTuple):
    """One request: what is asked, and after how many pieces it is cancelled."""

    prompt: list[int]
    n: int
    serve: ServeParams
    cancel_after: int | None


def check_tokens(
    session: LlamaSession, prompt: Sequence[int], tokens: Sequence[int]
) -> None:
    """Hold an answer against the model's own logits.

    A token of another request, or one said behind cells that are not this one's,
    would not be the likeliest here.
    """
    if not tokens:
        return
    sequence = [*prompt, *tokens]
    rows = np.concatenate(list(session.logits(sequence, first=len(prompt) - 1)))
    rows = rows[: len(tokens)]
    chosen = rows[np.arange(len(tokens)), list(tokens)]
    assert (rows.max(axis=1) - chosen).max() < _ATOL


def forget(session: LlamaSession) -> None:
    """Empty the KV cache."""

    def work(_: object) -> None:
        with session._scheduler.emptied():
            pass

    session._owner.call(work)
