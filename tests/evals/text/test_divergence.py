from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled, NotComparable
from localkit.evals.text.divergence import (
    ChunkDivergence,
    compare_chunk,
    llama_perplexity_lines,
    perplexity,
    reference_chunk,
    summarize,
)
from localkit.evals.text.log_probs import HEAD, compare_rows, encode_rows
from localkit.evals.text.windows import Windows, cut_windows
from localkit.events import CancelToken
from tests.evals.fakes import fake_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from localkit.runtime.fake import FakeSession

TEXT = "".join(chr(33 + (7 * i * i + i) % 90) for i in range(1200))


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """ln p, the straightforward way."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True)))


def compared(
    noise: float, *, chunks: int = 4, exact: bool = True
) -> list[ChunkDivergence]:
    base, other = fake_session(), fake_session("Q", noise=noise)
    windows = cut_windows(base, TEXT, n_ctx=128, max_chunks=chunks)
    found = []
    for index in range(chunks):
        reference = reference_chunk(base, windows, index)
        found.append(
            compare_chunk(
                other,
                windows,
                index,
                reference.record,
                reference.exact if exact else None,
            )
        )
    return found


def straightforward(
    base: FakeSession, other: FakeSession, windows: Windows, index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """nll of the base, nll of the other and KL, in float64 from full logits."""
    tokens = windows.inputs[index]
    p = log_softmax(np.concatenate(list(base.logits(tokens))))[windows.first : -1]
    q = log_softmax(np.concatenate(list(other.logits(tokens))))[windows.first : -1]
    at = np.arange(windows.n_scored), windows.targets[index]
    return -p[at], -q[at], (np.exp(p) * (p - q)).sum(axis=1)


def test_figures_agree_with_a_straightforward_computation() -> None:
    base, other = fake_session(), fake_session("Q", noise=0.5)
    windows = cut_windows(base, TEXT, n_ctx=128)
    nll_base, nll, kld = straightforward(base, other, windows, 2)
    reference = reference_chunk(base, windows, 2)
    chunk = compare_chunk(other, windows, 2, reference.record, reference.exact)
    assert reference.exact.nll == pytest.approx(nll_base, abs=1e-6)
    assert chunk.nll == pytest.approx(nll, abs=1e-6)
    # The record keeps 16 bits of a span of at most 16 nats.
    assert chunk.nll_base == pytest.approx(nll_base, abs=2e-4)
    assert chunk.kld == pytest.approx(kld, abs=5e-4)
    assert chunk.dp == pytest.approx(np.exp(-nll) - np.exp(-nll_base), abs=2e-4)


def test_blocks_of_any_size_give_the_same_figures() -> None:
    whole = fake_session()
    windows = cut_windows(whole, TEXT, n_ctx=128)
    pieces = fake_session(n_ubatch=7)
    a, b = reference_chunk(whole, windows, 0), reference_chunk(pieces, windows, 0)
    assert np.array_equal(a.record, b.record)
    assert np.array_equal(a.exact.nll, b.exact.nll)


def test_a_model_against_itself_has_no_loss() -> None:
    summary = summarize(compared(0.0))
    assert abs(summary.kld.value) < 1e-4
    assert summary.ln_ppl_ratio.value == pytest.approx(0, abs=1e-7)
    assert summary.same_top.value == 1
    assert 0.9 < summary.same_top.low < 1
    assert summary.perplexity.value == pytest.approx(summary.perplexity_base.value)


def test_more_noise_is_more_loss() -> None:
    losses = [summarize(compared(noise)).kld.value for noise in (0.1, 0.3, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] > 0.001


def test_ratio_is_paired_with_the_exact_reference_not_its_record() -> None:
    chunks = compared(0.5)
    summary = summarize(chunks)
    nll = np.concatenate([chunk.nll for chunk in chunks]).astype(np.float64)
    exact = np.concatenate([chunk.nll_base_exact for chunk in chunks])
    assert summary.base_is_exact
    assert summary.ln_ppl_ratio.value == pytest.approx((nll - exact).mean())
    assert summary.ln_ppl_ratio.n == 4


def test_a_reference_without_exact_figures_is_used_and_said() -> None:
    summary = summarize(compared(0.5, exact=False))
    assert not summary.base_is_exact
    ratio = summary.printed.ln_ppl_ratio.value
    assert summary.ln_ppl_ratio.value == pytest.approx(ratio)


def test_perplexity_of_a_uniform_model_is_its_vocabulary() -> None:
    nll = np.full(300, math.log(260))
    assert perplexity([nll, nll]).value == pytest.approx(260)


def test_bits_per_byte_counts_text_not_tokens() -> None:
    chunks = compared(0.2)
    summary = summarize(chunks)
    # One token a byte here, so bits per byte is log2 of the perplexity.
    assert summary.bits_per_byte == pytest.approx(math.log2(summary.perplexity.value))


def test_E2_another_vocabulary_is_refused() -> None:
    session = fake_session()
    windows = cut_windows(session, TEXT, n_ctx=128)
    with pytest.raises(NotComparable, match="record"):
        compare_chunk(session, windows, 0, np.zeros((63, 999), np.uint16))


def test_E2_an_empty_comparison_is_refused() -> None:
    with pytest.raises(NotComparable, match="no chunk"):
        summarize([])


def test_stopping_reaches_the_session() -> None:
    session = fake_session()
    windows = cut_windows(session, TEXT, n_ctx=128)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        reference_chunk(session, windows, 0, cancel=cancel)


def test_one_chunk_gives_figures_without_intervals() -> None:
    summary = summarize(compared(0.3, chunks=1))
    assert summary.kld.value > 0
    assert math.isnan(summary.kld.high)
    assert math.isnan(summary.perplexity.high)
    assert math.isnan(summary.same_top.low)


def test_same_top_keeps_its_interval_inside_0_to_1() -> None:
    summary = summarize(compared(0.02))
    assert summary.same_top.low < summary.same_top.value <= summary.same_top.high <= 1


@pytest.mark.parametrize("n_vocab", [7, 8, 4097])
def test_record_holds_what_llama_perplexity_would_write(n_vocab: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 6, (3, n_vocab)).astype(np.float32)
    record = encode_rows(logits, np.zeros(3, np.int32)).record
    for row, words in zip(logits, record, strict=True):
        scale, lowest = words[:HEAD].view(np.float32)
        highest = row.max()
        floor = max(row.min(), highest - np.float32(16))
        assert scale == (highest - floor) / np.float32(65535)
        decoded = scale * words[HEAD : HEAD + n_vocab].astype(np.float64) + lowest
        clipped = np.maximum(log_softmax(row), float(lowest))
        assert decoded == pytest.approx(clipped, abs=float(scale))
    assert not record[:, HEAD + n_vocab :].any()


def test_equal_logits_have_no_scale_and_all_tokens_tie() -> None:
    logits = np.zeros((1, 260), np.float32)
    encoded = encode_rows(logits, np.zeros(1, np.int32))
    rows = compare_rows(logits, np.zeros(1, np.int32), encoded.record)
    assert encoded.exact.nll[0] == pytest.approx(math.log(260))
    assert rows.kld[0] == pytest.approx(0, abs=1e-6)
    assert rows.top_base[0] == 0


def test_a_token_the_candidate_rules_out_does_not_make_nan() -> None:
    base = np.zeros((1, 260), np.float32)
    base[0, 5] = -40.0  # below the floor of the record
    other = base.copy()
    other[0, 5] = -np.inf
    record = encode_rows(base, np.zeros(1, np.int32)).record
    rows = compare_rows(other, np.zeros(1, np.int32), record)
    assert rows.kld[0] == pytest.approx(0, abs=1e-6)


def made_up_chunk(n: int = 101) -> ChunkDivergence:
    """Tokens in steps of 0.01 nats, whose statistics can be worked out by hand."""
    ramp = np.arange(n) / 100
    return ChunkDivergence(
        nll=(1 + ramp).astype(np.float32),
        nll_base=np.ones(n, np.float32),
        nll_base_exact=np.ones(n),
        kld=ramp,
        dp=-ramp.astype(np.float32),
        same_top=ramp < 0.5,
        same_top_record=ramp < 0.5,
        n_bytes=4 * n,
    )


def test_lines_read_as_llama_perplexity_prints_them() -> None:
    text = llama_perplexity_lines(summarize([made_up_chunk()]))
    lines = text.splitlines()
    assert lines[0] == "====== Perplexity statistics ======"
    assert lines[1].startswith("Mean PPL(Q)                   :   4.481689 ±   0.1306")
    assert "Maximum KLD:   1.000000" in lines
    assert "99.0%   KLD:   0.990000" in lines
    assert " 5.0%   KLD:   0.050000" in lines
    assert "Median  KLD:   0.500000" in lines
    assert "Median  Δp: -50.000%" in lines
    assert "75.0%   Δp: -25.000%" in lines
    assert "Minimum Δp: -100.000%" in lines
    assert "Same top p: 49.505 ± 5.000 %" in lines
    assert len(lines) == 39


def test_percentiles_interpolate_and_the_median_of_an_even_count_is_between() -> None:
    printed = summarize([made_up_chunk(100)]).printed
    assert printed.kld_median == pytest.approx(0.495)
    assert printed.kld_percentiles["99.9%"] == pytest.approx(0.98901, abs=1e-6)


def test_few_tokens_are_printed_without_errors() -> None:
    assert summarize([made_up_chunk(8)]).printed.kld.se == 0
