"""The statistics that ``llama-perplexity --kl-divergence`` prints, to the digit.

Kept apart from ours because its errors take tokens for independent and its
reference is the 16-bit record. Source: llama.cpp, tools/perplexity/
perplexity.cpp, ``kl_divergence()``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.evals.statistics.estimates import exp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from localkit.evals.text.divergence import ChunkDivergence, DivergenceSummary

KLD_PERCENTILES = (99.9, 99.0, 95.0, 90.0, 10.0, 5.0, 1.0, 0.1)
DP_PERCENTILES = (99.9, 99.0, 95.0, 90.0, 75.0, 25.0, 10.0, 5.0, 1.0, 0.1)
FEWEST_FOR_ERRORS = 10
"""Below this count llama-perplexity reports errors of 0."""


class PlusMinus(NamedTuple):
    """A figure and its standard error for independent tokens."""

    value: float
    se: float


@dataclass(frozen=True, slots=True)
class Printed:
    """One run's final statistics, unrounded; Δp as fractions."""

    perplexity: PlusMinus
    perplexity_base: PlusMinus
    correlation: float
    """Of the two mean nll."""
    ln_ppl_ratio: PlusMinus
    ppl_ratio: PlusMinus
    ppl_difference: PlusMinus
    kld: PlusMinus
    kld_max: float
    kld_min: float
    kld_median: float
    kld_percentiles: Mapping[str, float]
    dp: PlusMinus
    dp_max: float
    dp_min: float
    dp_median: float
    dp_percentiles: Mapping[str, float]
    rms_dp: PlusMinus
    same_top: PlusMinus


def print_statistics(chunks: Sequence[ChunkDivergence]) -> Printed:
    """Return what llama-perplexity would print for these chunks."""
    # Squares of float32 are rounded to float32 before they are summed, as there.
    nll = np.concatenate([chunk.nll for chunk in chunks])
    base = np.concatenate([chunk.nll_base for chunk in chunks])
    kld = np.concatenate([chunk.kld for chunk in chunks])
    dp = np.concatenate([chunk.dp for chunk in chunks])
    same = np.concatenate([chunk.same_top_record for chunk in chunks])
    n = nll.size
    log_ppl = _mean(nll, nll * nll)
    log_base = _mean(base, base * base)
    covariance = _covariance(log_ppl, log_base, nll * base)
    ratio_se = _root(log_ppl.se**2 + log_base.se**2 - 2 * covariance)
    ratio = log_ppl.value - log_base.value
    ppl, ppl_base = exp(log_ppl.value), exp(log_base.value)
    ppl_se, base_se = ppl * log_ppl.se, ppl_base * log_base.se
    squares = (dp * dp).astype(np.float64)
    mean_square = _mean(squares, squares * squares)
    rms = math.sqrt(mean_square.value)
    share = float(same.mean())
    klds, dps = np.sort(kld.astype(np.float32)), np.sort(dp)
    return Printed(
        perplexity=PlusMinus(ppl, ppl_se),
        perplexity_base=PlusMinus(ppl_base, base_se),
        correlation=_ratio(covariance, log_ppl.se * log_base.se),
        ln_ppl_ratio=PlusMinus(ratio, ratio_se),
        ppl_ratio=PlusMinus(exp(ratio), exp(ratio) * ratio_se),
        ppl_difference=PlusMinus(
            ppl - ppl_base,
            _root(ppl_se**2 + base_se**2 - 2 * ppl * ppl_base * covariance),
        ),
        kld=_mean(kld, kld * kld),
        kld_max=float(klds[-1]),
        kld_min=float(klds[0]),
        kld_median=_median(klds),
        kld_percentiles=_percentiles(klds, KLD_PERCENTILES),
        dp=_mean(dp, squares),
        dp_max=float(dps[-1]),
        dp_min=float(dps[0]),
        dp_median=_median(dps),
        dp_percentiles=_percentiles(dps, DP_PERCENTILES),
        rms_dp=PlusMinus(rms, _ratio(0.5 * mean_square.se, rms)),
        same_top=PlusMinus(share, math.sqrt(_ratio(share * (1 - share), n - 1))),
    )


def printed_perplexity(nll: NDArray[np.float64]) -> str:
    """Return the final estimate as a plain llama-perplexity prints it.

    Source: there, ``perplexity()``: the error takes tokens for independent.
    """
    mean_nll = float(nll.sum()) / nll.size
    variance = float(np.square(nll).sum()) / nll.size - mean_nll * mean_nll
    ppl = exp(mean_nll)
    if not variance > 0:
        return f"PPL = {ppl:.4f}"
    return f"PPL = {ppl:.4f} +/- {ppl * math.sqrt(variance / (nll.size - 1)):.5f}"


def llama_perplexity_lines(summary: DivergenceSummary) -> str:
    """Return the final statistics exactly as llama-perplexity prints them."""
    it = summary.printed
    lines = [
        "====== Perplexity statistics ======",
        f"Mean PPL(Q)                   : {_six(it.perplexity)}",
        f"Mean PPL(base)                : {_six(it.perplexity_base)}",
        f"Cor(ln(PPL(Q)), ln(PPL(base))): {100 * it.correlation:6.2f}%",
        f"Mean ln(PPL(Q)/PPL(base))     : {_six(it.ln_ppl_ratio)}",
        f"Mean PPL(Q)/PPL(base)         : {_six(it.ppl_ratio)}",
        f"Mean PPL(Q)-PPL(base)         : {_six(it.ppl_difference)}",
        "",
        "====== KL divergence statistics ======",
        f"Mean    KLD: {_six(it.kld)}",
        f"Maximum KLD: {it.kld_max:10.6f}",
        *_kld_lines(it, KLD_PERCENTILES[:4]),
        f"Median  KLD: {it.kld_median:10.6f}",
        *_kld_lines(it, KLD_PERCENTILES[4:]),
        f"Minimum KLD: {it.kld_min:10.6f}",
        "",
        "====== Token probability statistics ======",
        f"Mean    Δp: {_three(it.dp)}",
        f"Maximum Δp: {100 * it.dp_max:6.3f}%",
        *_dp_lines(it, DP_PERCENTILES[:5]),
        f"Median  Δp: {100 * it.dp_median:6.3f}%",
        *_dp_lines(it, DP_PERCENTILES[5:]),
        f"Minimum Δp: {100 * it.dp_min:6.3f}%",
        f"RMS Δp    : {_three(it.rms_dp)}",
        f"Same top p: {_three(it.same_top)}",
    ]
    return "\n".join(lines) + "\n"


def _six(figure: PlusMinus) -> str:
    return f"{figure.value:10.6f} ± {figure.se:10.6f}"


def _three(figure: PlusMinus) -> str:
    return f"{100 * figure.value:6.3f} ± {100 * figure.se:5.3f} %"


def _kld_lines(it: Printed, percents: Sequence[float]) -> list[str]:
    names = [_percent(percent) for percent in percents]
    return [f"{name:>5}   KLD: {it.kld_percentiles[name]:10.6f}" for name in names]


def _dp_lines(it: Printed, percents: Sequence[float]) -> list[str]:
    names = [_percent(percent) for percent in percents]
    return [f"{name:>5}   Δp: {100 * it.dp_percentiles[name]:6.3f}%" for name in names]


def _percent(percent: float) -> str:
    return f"{percent:.1f}%"


def _mean(values: NDArray[np.floating], squares: NDArray[np.floating]) -> PlusMinus:
    """Return a mean and sqrt(population variance / (n - 1))."""
    n = values.size
    mean = float(values.sum(dtype=np.float64)) / n
    variance = float(squares.sum(dtype=np.float64)) / n - mean * mean
    se = (
        math.sqrt(variance / (n - 1)) if variance > 0 and n > FEWEST_FOR_ERRORS else 0.0
    )
    return PlusMinus(mean, se)


def _covariance(a: PlusMinus, b: PlusMinus, products: NDArray[np.float32]) -> float:
    """Return the covariance of two means over the same tokens."""
    n = products.size
    if n < FEWEST_FOR_ERRORS:
        return 0.0
    return (float(products.sum(dtype=np.float64)) / n - a.value * b.value) / (n - 1)


def _median(ordered: NDArray[np.float32]) -> float:
    half = ordered.size // 2
    if ordered.size % 2:
        return float(ordered[half])
    return float(np.float32(0.5) * (ordered[half] + ordered[half - 1]))


def _percentiles(
    ordered: NDArray[np.float32], percents: Sequence[float]
) -> dict[str, float]:
    """Interpolate at fraction · (n - 1), in float32 throughout as there."""
    result = {}
    last = ordered.size - 1
    for percent in percents:
        place = np.float32(percent / 100) * np.float32(last)
        index = int(place)
        part = place - np.float32(index)
        above = ordered[min(index + 1, last)]
        value = (np.float32(1) - part) * ordered[index] + part * above
        result[_percent(percent)] = float(value)
    return result


def _root(square: float) -> float:
    """Return a square root; NaN where rounding left less than nothing, as there."""
    return math.sqrt(square) if square >= 0 else math.nan


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
