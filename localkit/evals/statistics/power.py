"""How much a sample of this size could have shown, and how much more it would take."""

from __future__ import annotations

import math

from scipy import optimize, stats

from localkit.evals.statistics.estimates import LEVEL, Estimate


def items_needed_graded(
    sd: float, difference: float, *, alpha: float = 1 - LEVEL, power: float = 0.8
) -> int | None:
    """Return how many items would tell a paired difference of graded scores apart.

    ``sd`` is the standard deviation of an item's difference, ``difference`` their
    mean, both taken as the truth. None when there is no difference, or either is
    NaN: no number of items would do. Source: the paired t test, (z_α/2 + z_β)² sd² /
    difference² + z_α/2² / 2 (Guenther, Am. Stat. 35 (1981) 243).
    """
    if math.isnan(sd) or math.isnan(difference) or difference == 0:
        return None
    z_alpha = float(stats.norm.ppf(1 - alpha / 2))
    z_power = float(stats.norm.ppf(power))
    n = ((z_alpha + z_power) * sd / difference) ** 2 + z_alpha**2 / 2
    return max(2, math.ceil(n))


def detectable(
    n: int, discordant: float, *, alpha: float = 1 - LEVEL, power: float = 0.8
) -> float | None:
    """Return the least difference of two shares that ``n`` items would show.

    ``discordant`` is the share of items that flip either way; a difference takes at
    least as many flips as itself, so 0 asks for the best case, all flips one way.
    None when not even a difference of 1 would show. Source: Connor, Biometrics 43
    (1987) 207, solved for the difference.
    """
    z_alpha = float(stats.norm.ppf(1 - alpha / 2))
    z_power = float(stats.norm.ppf(power))

    def short_of(difference: float) -> float:
        flips = max(discordant, difference)
        spread = z_alpha * math.sqrt(flips) + z_power * math.sqrt(
            max(0.0, flips - difference**2)
        )
        return spread - difference * math.sqrt(n)

    if n < 1 or short_of(1.0) > 0:
        return None
    return float(optimize.brentq(short_of, 1e-9, 1.0))


def detectable_graded(
    n: int, sd: float, *, alpha: float = 1 - LEVEL, power: float = 0.8
) -> float | None:
    """Return the least mean difference of graded scores that ``n`` items would show.

    ``sd`` is the standard deviation of an item's difference. None for fewer than two
    items, or an ``sd`` of NaN.
    """
    if n < 2 or math.isnan(sd):
        return None
    t_alpha = float(stats.t.ppf(1 - alpha / 2, n - 1))
    t_power = float(stats.t.ppf(power, n - 1))
    return (t_alpha + t_power) * sd / math.sqrt(n)


def alike_p(difference: Estimate, margin: float) -> float:
    """Return the p of "the difference is ``margin`` or more, one way or the other".

    Below 0.05 the two are alike within ``margin``: two one-sided tests, which is the
    90 % interval inside ± margin. The error is read off the 95 % interval by Student's
    t, so that a difference without a single flip is not taken for certain. NaN without
    an interval. Source: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657.
    """
    if math.isnan(difference.high) or difference.n < 2:
        return math.nan
    law = stats.t(difference.n - 1)
    centre = (difference.low + difference.high) / 2
    se = (difference.high - difference.low) / 2 / float(law.ppf((1 + LEVEL) / 2))
    if se == 0:
        return 0.0 if abs(centre) < margin else 1.0
    return float(law.sf((margin - abs(centre)) / se))
