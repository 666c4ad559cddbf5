"""Samples whose truth is known, and how often each interval covers it.

`scripts/coverage_table.py` writes these cells to `docs/coverage.md`; the tests hold
those that claim 95 % to 93 to 97.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import stats

from localkit.evals.statistics.bootstrap import cluster_bootstrap
from localkit.evals.statistics.estimates import (
    Estimate,
    bootstrap_difference,
    cluster_mean,
    holm,
    mcnemar,
    mean,
    paired_proportions,
    proportion,
)
from localkit.evals.statistics.jackknife import cluster_jackknife
from localkit.evals.statistics.paired import compare_scored
from localkit.evals.statistics.permutation import sign_flip_p
from localkit.evals.statistics.positive import positive_cluster_mean
from localkit.evals.statistics.quantiles import cluster_quantile
from localkit.evals.statistics.scored import Scored
from localkit.evals.statistics.sequential import decide_look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray


class Tail(NamedTuple):
    """Log-normal tokens: spread within a chunk and between chunks, of logarithms."""

    name: str
    within: float
    between: float

    @property
    def mean(self) -> float:
        return math.exp((self.within**2 + self.between**2) / 2)

    def quantile(self, q: float) -> float:
        spread = math.hypot(self.within, self.between)
        return math.exp(spread * float(stats.norm.ppf(q)))


# Q4_K_M on Wikipedia text: errors by chunk 2.5 times those by token, and an error of
# 26 % of the mean a chunk.
MEASURED = Tail("as measured", 1.15, 0.24)
HEAVY = Tail("heavy tails", 1.8, 0.4)
FEW_CARRY = Tail("few chunks carry it", 1.5, 0.8)

CHUNK = 255
"""Scored tokens of a chunk of 512."""


Claim = Literal["95 %", "at least 95 %", "none"]


@dataclass(frozen=True)
class Cell:
    """One interval in one setting."""

    method: str
    setting: str
    n: int
    """Independent observations: chunks, items, groups."""
    draw: Callable[[Generator], tuple[Estimate, float]]
    """Draw a sample; return its estimate and the truth."""
    claims: Claim = "95 %"
    """What the method claims here: 95 %, at least that, or nothing."""
    slow: int = 1
    """How many times fewer samples to draw."""

    @property
    def id(self) -> str:
        return f"{self.method}, {self.setting}, {self.n}"


class Coverage(NamedTuple):
    covered: float
    below: float
    """Share of intervals that end below the truth."""
    above: float


def simulate(cell: Cell, n_samples: int, *, seed: int) -> Coverage:
    """Return how often the cell's interval covers the truth, and how it misses."""
    rng = np.random.default_rng(seed)
    below = above = 0
    for _ in range(n_samples):
        estimate, truth = cell.draw(rng)
        below += estimate.high < truth
        above += estimate.low > truth
    return Coverage(
        1 - (below + above) / n_samples, below / n_samples, above / n_samples
    )


def tokens(
    rng: Generator, tail: Tail, n: int, *, chunk: int = CHUNK
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    between = rng.normal(0, tail.between, (n, 1))
    x = np.exp(between + rng.normal(0, tail.within, (n, chunk)))
    return x.ravel(), np.repeat(np.arange(n), chunk)


def _positive(rng: Generator, tail: Tail, n: int) -> tuple[Estimate, float]:
    return positive_cluster_mean(*tokens(rng, tail, n)), tail.mean


def _symmetric(rng: Generator, tail: Tail, n: int) -> tuple[Estimate, float]:
    return cluster_mean(*tokens(rng, tail, n)), tail.mean


def _difference(rng: Generator, n: int) -> tuple[Estimate, float]:
    """Δp or a paired ln ratio: both signs, tails of t(3), chunks that differ."""
    between = rng.normal(0, 0.4, (n, 1))
    x = between + rng.standard_t(3, (n, CHUNK))
    return cluster_mean(x, np.repeat(np.arange(n), CHUNK)), 0.0


def _quantile(rng: Generator, tail: Tail, q: float, n: int) -> tuple[Estimate, float]:
    return cluster_quantile(*tokens(rng, tail, n), q), tail.quantile(q)


def _rms(values: NDArray[np.float64]) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def _rms_tokens(rng: Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    x = rng.normal(0, 1, (n, 60)) * np.exp(rng.normal(0, 0.24, (n, 1)))
    return x, np.repeat(np.arange(n), 60)


RMS_TRUTH = math.exp(0.24**2)


def _bootstrap_rms(rng: Generator, n: int) -> tuple[Estimate, float]:
    x, clusters = _rms_tokens(rng, n)
    found = cluster_bootstrap(x, clusters, statistic=_rms, n_resamples=999)
    return found, RMS_TRUTH


def _jackknife_rms(rng: Generator, n: int) -> tuple[Estimate, float]:
    x, clusters = _rms_tokens(rng, n)
    found = cluster_jackknife(x, clusters, statistic=_rms, positive=True)
    return found, RMS_TRUTH


@cache
def _wilson(right: int, n: int) -> Estimate:
    return proportion(right, n)


def _proportion(rng: Generator, share: float, n: int) -> tuple[Estimate, float]:
    return _wilson(int(rng.binomial(n, share)), n), share


@cache
def _bonett_price(gained: int, lost: int, n: int) -> Estimate:
    return paired_proportions(gained, lost, n)


def flips(rng: Generator, up: float, down: float, n: int) -> tuple[int, int]:
    gained, lost, _ = rng.multinomial(n, [up, down, 1 - up - down])
    return int(gained), int(lost)


def _paired_shares(
    rng: Generator, up: float, down: float, n: int
) -> tuple[Estimate, float]:
    return _bonett_price(*flips(rng, up, down, n), n), up - down


def graded(rng: Generator, n: int) -> NDArray[np.float64]:
    """Differences of F1-like scores: three in ten differ, most of those by little."""
    differs = rng.uniform(size=n) < 0.3
    return np.where(differs, rng.beta(2, 3, n) - rng.beta(2, 3, n) * 0.8, 0.0)


GRADED_TRUTH = 0.3 * 0.4 * 0.2


def _graded(rng: Generator, n: int) -> tuple[Estimate, float]:
    return mean(graded(rng, n)), GRADED_TRUTH


def _graded_bca(rng: Generator, n: int) -> tuple[Estimate, float]:
    x = graded(rng, n)
    return bootstrap_difference(x, np.zeros(n), n_resamples=499), GRADED_TRUTH


def _grouped(rng: Generator, n: int) -> tuple[Estimate, float]:
    """Flips of documents with one to eight questions, each with a rate of its own."""
    sizes = rng.integers(1, 9, n)
    groups = np.repeat(np.arange(n), sizes)
    rate = rng.beta(2, 6, n)[groups]
    u = rng.uniform(size=groups.size)
    x = np.where(u < rate, 1.0, np.where(u < rate + 0.1, -1.0, 0.0))
    return cluster_mean(x, groups), 0.15


LOOKS = (8, 16, 32, 64)


def looked_at(
    draw: Callable[[Generator, int], NDArray[np.float64]],
    rng: Generator,
    *,
    looks: tuple[int, ...] = LOOKS,
    precision: float,
) -> tuple[str, Estimate]:
    """Grow one sample through its looks; return why it stopped and with what."""
    x = draw(rng, looks[-1])
    for look, n in enumerate(looks):
        seen = decide_look(x[:n].tolist(), look=look, looks=looks, precision=precision)
        if seen.stop:
            return seen.why, seen.difference
    raise AssertionError("the last look stops")


def flip_differences(
    rng: Generator, n: int, *, up: float = 0.1, down: float = 0.1
) -> NDArray[np.float64]:
    u = rng.uniform(size=n)
    return np.where(u < up, 1.0, np.where(u < up + down, -1.0, 0.0))


def chunk_differences(
    rng: Generator, n: int, *, shift: float = 0.0
) -> NDArray[np.float64]:
    """Differences of two models' mean KL by chunk: heavy tails on both sides."""
    return shift + 0.01 * rng.standard_t(4, n)


def _sequential(
    rng: Generator,
    draw: Callable[[Generator, int], NDArray[np.float64]],
    truth: float,
    precision: float,
    n: int,
) -> tuple[Estimate, float]:
    looks = tuple(n >> halving for halving in (3, 2, 1, 0))
    return looked_at(draw, rng, looks=looks, precision=precision)[1], truth


def cells() -> list[Cell]:
    """Return every interval in every setting that the table shows."""
    return [*_cells_of_tokens(), *_cells_of_items(), *_cells_of_looks()]


def _cells_of_tokens() -> Iterator[Cell]:
    tails = (MEASURED, HEAVY, FEW_CARRY)
    for tail, n in product(tails, (4, 8, 16, 64)):
        draw = partial(_positive, tail=tail, n=n)
        claims: Claim = "95 %" if tail is MEASURED else "none"
        yield Cell("mean KL (CR1 of the logarithm)", tail.name, n, draw, claims)
    for tail, n in product(tails, (4, 16, 64)):
        draw = partial(_symmetric, tail=tail, n=n)
        yield Cell("the same, symmetric (CR1)", tail.name, n, draw, "none")
    for n in (4, 8, 16, 64):
        draw = partial(_difference, n=n)
        yield Cell("Δp, ln ratio, KL difference (CR1)", "t(3) tails", n, draw)
    for q, n in product((0.5, 0.99, 0.999), (4, 16, 64)):
        draw = partial(_quantile, tail=HEAVY, q=q, n=n)
        claims = "at least 95 %" if q == 0.999 else "95 %"
        name = f"{100 * q:g} % quantile of KL (Woodruff)"
        yield Cell(name, HEAVY.name, n, draw, claims)
    setting = "chunks differ by 24 %"
    for n in (4, 8, 16, 64):
        draw = partial(_jackknife_rms, n=n)
        claims = "95 %" if n >= 16 else "none"
        yield Cell("RMS Δp (jackknife)", setting, n, draw, claims)
    for n in (4, 8, 16, 64):
        draw = partial(_bootstrap_rms, n=n)
        yield Cell("the same (cluster bootstrap)", setting, n, draw, "none", slow=16)


def _cells_of_items() -> Iterator[Cell]:
    for n, share in product((30, 100, 400), (0.4, 0.9)):
        draw = partial(_proportion, share=share, n=n)
        claims: Claim = "95 %" if n > 30 else "at least 95 %"
        yield Cell("accuracy (Wilson)", f"{100 * share:.0f} % right", n, draw, claims)
    for n, (up, down) in product((30, 100, 400), ((0.05, 0.05), (0.03, 0.1))):
        draw = partial(_paired_shares, up=up, down=down, n=n)
        setting = f"flips {100 * up:.0f} % and {100 * down:.0f} %"
        name = "accuracy difference (Bonett-Price)"
        yield Cell(name, setting, n, draw, "at least 95 %")
    setting = "3 in 10 items differ"
    for n in (10, 30, 100, 400):
        draw = partial(_graded, n=n)
        claims = "95 %" if n >= 30 else "none"
        yield Cell("graded difference (paired t)", setting, n, draw, claims)
    for n in (30, 100):
        draw = partial(_graded_bca, n=n)
        yield Cell("the same (BCa bootstrap)", setting, n, draw, "none", slow=4)
    for n in (4, 8, 30):
        draw = partial(_grouped, n=n)
        claims = "95 %" if n > 8 else "none"
        setting = "1 to 8 questions a document"
        yield Cell("difference by groups (CR1)", setting, n, draw, claims)


def _cells_of_looks() -> Iterator[Cell]:
    name = "sequential, when it stops"
    for n in (64, 256):
        draw = partial(
            _sequential, draw=flip_differences, truth=0.0, precision=0.1, n=n
        )
        setting = "flips, 10 % either way"
        yield Cell(name, setting, n, draw, "at least 95 %", slow=2)
    for n in (32, 64):
        draw = partial(
            _sequential, draw=chunk_differences, truth=0.0, precision=0.004, n=n
        )
        setting = "KL by chunk, t(4) tails"
        yield Cell(name, setting, n, draw, "at least 95 %", slow=2)


@dataclass(frozen=True)
class Call:
    """One test at 5 %, of a model against itself."""

    test: str
    setting: str
    n: int
    p_value: Callable[[Generator], float]
    slow: int = 1

    @property
    def id(self) -> str:
        return f"{self.test}, {self.setting}, {self.n}"


def called(call: Call, n_samples: int, *, seed: int) -> float:
    """Return how often the test calls a difference that is not there."""
    rng = np.random.default_rng(seed)
    return sum(call.p_value(rng) < 0.05 for _ in range(n_samples)) / n_samples


def calls() -> list[Call]:
    """Return every test of a model against itself that the table shows."""
    return [
        Call("McNemar", "flips 10 % either way", 30, partial(_mcnemar, n=30)),
        Call("McNemar", "flips 10 % either way", 400, partial(_mcnemar, n=400)),
        Call("Holm over 8 McNemar", "the same", 200, _holm, 2),
        Call("sign flips", "3 in 10 graded items differ", 12, partial(_signs, n=12)),
        Call("sign flips", "3 in 10 graded items differ", 40, partial(_signs, n=40)),
        Call("sign flips of groups", "80 questions of 10 documents", 10, _documents),
        Call("CR1", "ln ratio by chunk, t(3) tails", 4, partial(_ln_ratio, n=4)),
        Call("CR1", "ln ratio by chunk, t(3) tails", 16, partial(_ln_ratio, n=16)),
        Call("four looks", "flips 10 % either way", 64, partial(_looks, flip=True), 2),
        Call(
            "four looks", "KL by chunk, t(4) tails", 64, partial(_looks, flip=False), 2
        ),
    ]


@cache
def _exact(gained: int, lost: int) -> float:
    return mcnemar(gained, lost)


def _mcnemar(rng: Generator, n: int) -> float:
    return _exact(*flips(rng, 0.1, 0.1, n))


def _holm(rng: Generator) -> float:
    return min(holm([_mcnemar(rng, 200) for _ in range(8)]))


def _signs(rng: Generator, n: int) -> float:
    return sign_flip_p(graded(rng, n) * rng.choice([-1, 1], n))


def _documents(rng: Generator) -> float:
    """Ten documents of eight questions: most are answered right or wrong as one."""
    groups = np.repeat(np.arange(10), 8)
    rate = rng.beta(0.5, 0.5, (2, 10))[:, groups]
    a, b = (
        [
            Scored(str(i), float(value), group=f"d{groups[i]}")
            for i, value in enumerate(values)
        ]
        for values in rng.uniform(size=(2, 80)) < rate
    )
    return compare_scored(a, b).p_value


def _ln_ratio(rng: Generator, n: int) -> float:
    estimate, _ = _difference(rng, n)
    return 0.0 if estimate.low > 0 or estimate.high < 0 else 1.0


def _looks(rng: Generator, *, flip: bool) -> float:
    draw, precision = (flip_differences, 0.05) if flip else (chunk_differences, 0.002)
    why, _ = looked_at(draw, rng, precision=precision)
    return 0.0 if why == "told apart" else 1.0
