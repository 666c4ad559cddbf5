"""Tests by flipping signs: what two models would differ by if neither were better."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

N_FLIPS = 9_999
"""Random sign patterns where there are too many to go through."""
_EXACT = 13
"""Differences up to which all 2**n patterns are gone through: 8,192."""
_NORMAL = 1_000
"""Differences from which the sum of random signs is taken as normal."""


def sign_flip_p(differences: ArrayLike, *, seed: int = 0) -> float:
    """Return the two-sided p of "which model is which does not matter".

    ``differences`` holds one number an independent unit: an item's difference, or
    the sum of a group's. Under the hypothesis each may as well have the other sign.
    Up to 13 that are not zero: exact. Up to 1,000: `N_FLIPS` random patterns and the
    one observed, so p is at least 1 in 10,000. Beyond: the normal distribution of
    the sum. NaN without differences; 1 when all are zero. Source: Fisher, "The
    Design of Experiments" (1935) §21; Phipson and Smyth, Stat. Appl. Genet. Mol.
    Biol. 9 (2010) 39, for counting the observed pattern.
    """
    observed = np.asarray(differences, dtype=np.float64).ravel()
    observed = observed[~np.isnan(observed)]
    if not observed.size:
        return math.nan
    moved = observed[observed != 0]
    if not moved.size:
        return 1.0
    # Sums that are equal on paper differ in their last bits.
    least = abs(moved.sum()) - 1e-9 * np.abs(moved).sum()
    if moved.size <= _EXACT:
        patterns = np.array(list(itertools.product((1.0, -1.0), repeat=moved.size)))
        return float((np.abs(patterns @ moved) >= least).mean())
    if moved.size > _NORMAL:
        z = abs(moved.sum()) / math.sqrt(float(np.square(moved).sum()))
        return float(2 * stats.norm.sf(z))
    rng = np.random.default_rng(seed)
    signs = rng.integers(0, 2, size=(N_FLIPS, moved.size), dtype=np.int8)
    # Σ ±x = 2 Σ_{+} x - Σ x: no second matrix of signs.
    sums = 2 * (signs @ moved) - moved.sum()
    return float((1 + (np.abs(sums) >= least).sum()) / (N_FLIPS + 1))
