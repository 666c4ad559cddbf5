"""The measures on SmolLM2, against plain numpy over the engine's own logits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import logsumexp

from localkit.evals.scorers.choices import encode_choices, score_item
from localkit.evals.tasks.catalog import load_task, load_text
from localkit.evals.text.divergence import compare_chunk, perplexity, reference_chunk
from localkit.evals.text.windows import cut_windows
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.protocol import Session

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def session(smollm2_gguf: Path) -> Iterator[Session]:
    params = LoadParams(n_ctx=512, n_batch=512, n_seq_max=8, n_threads=1)
    session = LlamaRuntime().load(read_info(smollm2_gguf), params)
    yield session
    session.close()


def test_perplexity_of_two_chunks_is_what_plain_numpy_gives(session: Session) -> None:
    windows = cut_windows(session, load_text().text, n_ctx=512, max_chunks=2)
    nlls: list[float] = []
    for index in range(2):
        tokens = list(windows.tokens[index])
        if session.adds_bos:
            assert session.bos is not None
            tokens[0] = session.bos
        logits = np.concatenate(list(session.logits(tokens, first=256)))
        logits = logits.astype(np.float64)
        rows, at = np.arange(255), windows.tokens[index, 257:]
        nlls += list(logsumexp(logits[:255], axis=1) - logits[rows, at])

    bases = [reference_chunk(session, windows, index) for index in range(2)]
    found = perplexity([base.exact.nll for base in bases])
    assert found.value == pytest.approx(math.exp(np.mean(nlls)), rel=1e-5)

    base = bases[0]
    chunk = compare_chunk(session, windows, 0, base.record, base.exact)
    assert chunk.nll == pytest.approx(nlls[:255], abs=1e-4)
    # What storing 16 bits a probability costs, and no more.
    assert 0 <= chunk.kld.mean() < 1e-3
    assert chunk.same_top.mean() > 0.99


def test_packaged_text_makes_fifty_chunks(session: Session) -> None:
    windows = cut_windows(session, load_text().text)
    assert windows.n_chunks >= 50
    scored = sum(windows.n_bytes_scored)
    assert 3 < scored / (255 * windows.n_chunks) < 6


def test_choices_are_scored_as_the_whole_text_would_be(session: Session) -> None:
    task = load_task("hellaswag")
    item = task.samples[1]
    score = score_item(session, task, item)
    head, tails = encode_choices(session, item.prompt, [" " + c for c in item.choices])
    assert head[-1] == session.tokenize(item.prompt)[-1]
    for choice, tail in zip(score.choices, tails, strict=True):
        whole = head + tail
        assert session.detokenize(tail).startswith(" ")
        logits = np.concatenate(list(session.logits(whole))).astype(np.float64)
        logprobs = logits - logsumexp(logits, axis=1, keepdims=True)
        at = np.arange(len(head) - 1, len(whole) - 1), tail
        # Batches of another shape round differently: 1e-2 nats a token (measured).
        expected = float(logprobs[at].sum())
        assert choice.logprob == pytest.approx(expected, abs=0.02 * len(tail))
