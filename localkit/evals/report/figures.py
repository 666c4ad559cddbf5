"""How figures are written: units, digits that mean something, intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localkit.evals.comparing.row import Spread
    from localkit.evals.statistics.estimates import Estimate

MISSING = "–"


def size(n_bytes: float | None) -> str:
    """Return bytes for people: ``52 B``, ``4.5 KiB``, ``105 MiB``, ``4.6 GiB``."""
    if n_bytes is None or math.isnan(n_bytes):
        return MISSING
    if abs(n_bytes) < 2**10:
        return f"{n_bytes:.0f} B"
    mib = n_bytes / 2**20
    if 0 < mib < 0.1:
        return f"{n_bytes / 2**10:.1f} KiB"
    if mib < 1024:
        return f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.1f} MiB"
    return f"{mib / 1024:.1f} GiB"


def rate(per_s: float) -> str:
    """Return a rate with three digits at most: ``214``, ``72.1``, ``7.72``."""
    if math.isnan(per_s):
        return MISSING
    return f"{per_s:.{min(2, decimals(per_s, 3))}f}"


def spread(value: Spread) -> str:
    """Return a median with its quartiles: ``72.1 (70.4–73.0)``."""
    return f"{rate(value.median)} ({rate(value.low)}–{rate(value.high)})"


def decimals(scale: float, digits: int) -> int:
    """Return the decimals that show ``digits`` significant digits of ``scale``."""
    if not math.isfinite(scale) or scale == 0:
        return digits
    return max(0, digits - 1 - math.floor(math.log10(abs(scale))))


def pm(estimate: Estimate, *, most: int = 5) -> str:
    """Return a value and half its 95 % interval, rounded to where it is uncertain."""
    if math.isnan(estimate.value):
        return MISSING
    half = (estimate.high - estimate.low) / 2
    if not math.isfinite(half):
        return f"{estimate.value:.{min(most, 3)}g} (no interval)"
    places = min(most, decimals(half, 2))
    if max(abs(estimate.value), half) < 0.5 * 10**-most:
        return f"< {10**-most:.{most}f}"
    return f"{signed(estimate.value, places)} ± {half:.{places}f}"


def interval(estimate: Estimate, *, most: int = 5) -> str:
    """Return the two ends of the 95 % interval: ``0.027–0.035``, ``−0.2 to 0.1``."""
    places = min(most, decimals((estimate.high - estimate.low) / 2, 2))
    low, high = signed(estimate.low, places), signed(estimate.high, places)
    return f"{low} to {high}" if estimate.low < 0 else f"{low}–{high}"


def signed(value: float, places: int) -> str:
    """Return a number with a true minus sign, and none before a zero."""
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def percent(share: float, *, places: int = 1) -> str:
    """Return a share as per cent."""
    return MISSING if math.isnan(share) else f"{100 * share:.{places}f} %"


def points(difference: Estimate, *, places: int = 1) -> str:
    """Return a difference of shares in percentage points with its interval."""
    if math.isnan(difference.value):
        return MISSING
    value, low, high = (
        signed(100 * share, places)
        for share in (difference.value, difference.low, difference.high)
    )
    return f"{value} ({low} to {high})"


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit: 100 makes shares percentage points."""
    return estimate.mapped(lambda value: factor * value, factor)


def seconds(value_s: float) -> str:
    """Return a duration with its unit: ``31 ms``, ``0.84 s``, ``12.3 s``."""
    if math.isnan(value_s):
        return MISSING
    if value_s < 0.1:
        return f"{1000 * value_s:.{decimals(1000 * value_s, 2)}f} ms"
    return f"{value_s:.{min(2, decimals(value_s, 3))}f} s"


def tokens(count: int) -> str:
    """Return a context length as people say it: ``512``, ``4k``, ``131k``."""
    return f"{count // 1024:,}k" if count and count % 1024 == 0 else f"{count:,}"


def joule(per_token_j: float) -> str:
    """Return energy with two digits: ``0.42 J``."""
    if math.isnan(per_token_j):
        return MISSING
    return f"{per_token_j:.{decimals(per_token_j, 2)}f} J"


def p_value(p: float) -> str:
    """Return a p-value: ``0.62``, ``0.013``, ``< 0.001``."""
    if math.isnan(p):
        return MISSING
    if p < 0.001:
        return "< 0.001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}"


def kl(value: float) -> str:
    """Return a KL divergence with two significant digits: ``0.061``, ``0.0044``."""
    if math.isnan(value):
        return MISSING
    if abs(value) < 0.000005:
        return "< 0.00001"
    return signed(value, min(5, decimals(value, 2)))


def listing(names: list[str]) -> str:
    """Return names as a phrase: ``A``, ``A and B``, ``A, B and C``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
