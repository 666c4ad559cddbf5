from __future__ import annotations

import math

import numpy as np
import pytest

from localkit.evals.token_views.rows import (
    divergence,
    entropy,
    log_probs,
    row_figures,
)


def test_equal_logits_are_of_the_most_entropy_and_all_of_rank_1() -> None:
    row = log_probs(np.zeros(50, np.float32))
    assert entropy(row) == pytest.approx(math.log(50))
    figures = row_figures(row, 17, 3)
    assert figures.rank == 1
    assert figures.logprob == pytest.approx(-math.log(50))
    assert len(figures.top) == 3


def test_the_likeliest_come_first_with_their_logprobs() -> None:
    row = log_probs(np.array([0, 3, 1, 2], np.float32))
    figures = row_figures(row, 2, 3)
    assert [token for token, _ in figures.top] == [1, 3, 2]
    assert figures.rank == 3
    assert figures.top[2][1] == figures.logprob == row[2]
    assert np.exp(row).sum() == pytest.approx(1)


def test_more_alternatives_than_tokens_are_all_of_them() -> None:
    assert len(row_figures(log_probs(np.zeros(4, np.float32)), 0, 20).top) == 4


def test_a_distribution_against_itself_is_at_exactly_0() -> None:
    row = log_probs(np.random.default_rng(0).normal(0, 9, 1000).astype(np.float32))
    assert divergence(row, row) == 0


def test_the_divergence_is_that_of_the_definition() -> None:
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
    expected = 0.5 * math.log(2) - 0.25 * math.log(2)
    assert divergence(np.log(p), np.log(q)) == pytest.approx(expected)


def test_a_token_that_is_ruled_out_adds_nothing_and_breaks_nothing() -> None:
    ruled_out = log_probs(np.array([0, 0, -np.inf], np.float32))
    open_ = log_probs(np.zeros(3, np.float32))
    assert entropy(ruled_out) == pytest.approx(math.log(2))
    assert divergence(ruled_out, ruled_out) == 0
    assert divergence(ruled_out, open_) == pytest.approx(math.log(1.5))
    assert divergence(open_, ruled_out) == math.inf


def test_huge_logits_overflow_nothing() -> None:
    row = log_probs(np.array([3e38, -3e38, 0], np.float32))
    assert row[0] == 0
    assert entropy(row) == 0
