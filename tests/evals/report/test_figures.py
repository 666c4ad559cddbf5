from __future__ import annotations

import math

import pytest

from localkit.amounts import parse_bytes
from localkit.errors import UsageError
from localkit.evals.report import figures
from tests.evals.constructed import estimate


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (3 << 20, "3.0 MiB"),
        (105 << 20, "105 MiB"),
        (4711 << 20, "4.6 GiB"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_bytes_are_shown_in_mib_and_gib(n_bytes, text):
    assert figures.size(n_bytes) == text


@pytest.mark.parametrize(
    ("per_s", "text"),
    [(7.718, "7.72"), (72.14, "72.1"), (1234.4, "1234"), (math.nan, "–")],
)
def test_rates_have_three_digits(per_s, text):
    assert figures.rate(per_s) == text


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.061171, 0.00401, "0.0612 ± 0.0040"),
        (26.428, 3.14, "26.4 ± 3.1"),
        (0.00001, 0.0000001, "0.00001 ± 0.00000"),
        (math.nan, 1.0, "–"),
        (0.5, math.nan, "0.5 (no interval)"),
    ],
)
def test_a_figure_is_rounded_to_where_it_is_uncertain(value, half, text):
    assert figures.pm(estimate(value, half)) == text


def test_an_interval_below_zero_has_true_minus_signs():
    assert figures.interval(estimate(0.01, 0.03)) == "−0.020 to 0.040"
    assert figures.interval(estimate(0.05, 0.03)) == "0.020–0.080"


@pytest.mark.parametrize(
    ("p", "text"), [(0.62, "0.62"), (0.0131, "0.013"), (1e-9, "< 0.001")]
)
def test_p_values_are_short(p, text):
    assert figures.p_value(p) == text


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("8GB", 8 * 10**9),
        ("8 GiB", 8 * 2**30),
        ("6.5g", int(6.5 * 2**30)),
        ("512MiB", 512 * 2**20),
        ("1000", 1000),
    ],
)
def test_an_amount_of_memory_is_read(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "lots", "8 XB", "-1GB", "0", "nan GB", "1e9"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(UsageError, match="no amount of memory"):
        parse_bytes(text)
