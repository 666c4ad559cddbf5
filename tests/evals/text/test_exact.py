from __future__ import annotations

import numpy as np
import pytest

from localkit.errors import NotComparable
from localkit.evals.text.divergence import compare_chunk, reference_chunk, summarize
from localkit.evals.text.exact import compare_exactly, exact_chunk, floor_of
from localkit.evals.text.windows import Windows, cut_windows
from localkit.runtime.fake import FakeSession
from tests.evals.fakes import fake_session

TEXT = "".join(chr(33 + (7 * i * i + i) % 90) for i in range(1200))


@pytest.fixture
def windows() -> Windows:
    return cut_windows(fake_session(), TEXT, n_ctx=128, max_chunks=2)


def log_probs(session: FakeSession, windows: Windows, index: int):
    (stretch,) = windows.stretches(index)
    rows = np.concatenate(list(session.logits(stretch.inputs, first=stretch.first)))
    wide = rows[: len(stretch.targets)].astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("noise", [1e-3, 0.3, 3.0])
def test_figures_are_those_of_the_plain_formula_in_float64(
    windows: Windows, noise: float
) -> None:
    base, other = fake_session(), fake_session("Q", noise=noise)
    found = compare_exactly(other, windows, 1, exact_chunk(base, windows, 1))
    p, q = log_probs(base, windows, 1), log_probs(other, windows, 1)
    each = np.arange(len(p))
    targets = windows.targets[1]
    kld = (np.exp(p) * (p - q)).sum(axis=1)
    assert found.kld == pytest.approx(kld, rel=1e-4, abs=1e-9)
    assert found.nll == pytest.approx(-q[each, targets], abs=1e-6)
    assert found.nll_base_exact == pytest.approx(-p[each, targets], abs=1e-6)
    change = np.exp(q[each, targets]) - np.exp(p[each, targets])
    assert found.dp == pytest.approx(change, abs=1e-6)
    assert (found.same_top == (p.argmax(axis=1) == q.argmax(axis=1))).all()


def test_a_model_against_itself_is_at_exactly_zero(windows: Windows) -> None:
    base = exact_chunk(fake_session(), windows, 0)
    found = compare_exactly(fake_session(), windows, 0, base)
    floor = floor_of(base, windows.n_bytes_scored[0])
    for one in (found, floor):
        assert (one.kld == 0).all()
        assert (one.dp == 0).all()
        assert one.same_top.all()
    assert np.array_equal(found.nll, floor.nll)
    summary = summarize([floor, floor])
    assert summary.kld.value == summary.ln_ppl_ratio.value == 0
    assert summary.base_is_exact


def test_the_record_moves_figures_by_less_than_its_16_bits_allow(
    windows: Windows,
) -> None:
    base, other = fake_session(), fake_session("Q", noise=0.3)
    recorded = reference_chunk(base, windows, 0)
    by_file = compare_chunk(other, windows, 0, recorded.record, recorded.exact)
    by_stream = compare_exactly(other, windows, 0, exact_chunk(base, windows, 0))
    assert not np.array_equal(by_file.kld, by_stream.kld)
    assert by_file.kld == pytest.approx(by_stream.kld, abs=2e-4)


def test_a_token_that_both_rule_out_counts_nothing(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, other = fake_session(), fake_session("Q", noise=0.1)
    never = 7  # of the vocabulary, and not in the text
    for session in (base, other):
        table = session.table.copy()
        table[:, never] = -np.inf
        monkeypatch.setattr(session, "table", table)
    found = compare_exactly(other, windows, 0, exact_chunk(base, windows, 0))
    assert np.isfinite(found.kld).all()
    assert (found.kld > 0).all()


def test_logits_of_another_vocabulary_are_refused(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = exact_chunk(fake_session(), windows, 0)
    monkeypatch.setattr(FakeSession, "n_vocab", 300)
    with pytest.raises(NotComparable, match=r"\(63, 260\), this model's \(63, 300\)"):
        compare_exactly(fake_session(), windows, 0, base)
