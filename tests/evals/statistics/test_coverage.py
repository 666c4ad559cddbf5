from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.evals.statistics.simulated import (
    Call,
    Cell,
    called,
    calls,
    cells,
    chunk_differences,
    looked_at,
    simulate,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TABLE = Path(__file__).parents[3] / "docs" / "coverage.md"
CLAIMING = [cell for cell in cells() if cell.claims != "none"]


# Sixty-four chunks of 255 tokens take a second: they are in the table, and thorough.
QUICK = [cell for cell in CLAIMING if cell.n < 64 or "accuracy" in cell.method]


@pytest.mark.parametrize("cell", QUICK, ids=lambda cell: cell.id)
def test_an_interval_that_claims_95_percent_covers_93_to_97(cell: Cell) -> None:
    n_samples = 600 // cell.slow
    found = simulate(cell, n_samples, seed=5)
    # The seed is fixed; of so few samples a share has an error of its own.
    room = 2 * (0.05 * 0.95 / n_samples) ** 0.5
    most = 1.0 if cell.claims == "at least 95 %" else 0.97 + room
    assert 0.93 - room <= found.covered <= most


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cell", CLAIMING, ids=lambda cell: cell.id)
def test_the_same_with_samples_enough_to_tell(cell: Cell) -> None:
    found = simulate(cell, 4000, seed=1)
    assert 0.93 <= found.covered <= (1.0 if cell.claims == "at least 95 %" else 0.97)


def test_the_table_in_the_docs_holds_every_cell_and_keeps_the_claims() -> None:
    pattern = r"^\| (.+?) \| (.+?) \| (\d+) \| ([\d.]+) "
    rows = re.findall(pattern, TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    table = {(name, setting, int(n)): float(share) for name, setting, n, share in rows}
    for cell in cells():
        covered = table[cell.method, cell.setting, cell.n]
        if cell.claims != "none":
            assert covered >= 93, cell.id
        if cell.claims == "95 %":
            assert covered <= 97, cell.id


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.id)
def test_E3_a_model_against_itself_is_called_different_in_at_most_7_percent(
    call: Call,
) -> None:
    assert called(call, 600 // call.slow, seed=5) <= 0.07


def test_E3_the_table_in_the_docs_keeps_that_too() -> None:
    pattern = r"^\| (.+?) \| (.+?) \| (\d+) \| ([\d.]+) \|$"
    rows = re.findall(pattern, TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    shares = {(test, setting, int(n)): float(share) for test, setting, n, share in rows}
    for call in calls():
        assert shares[call.test, call.setting, call.n] <= 7, call.id


def test_E3_a_difference_that_matters_is_seldom_called_alike() -> None:
    rng = np.random.default_rng(6)

    def apart(rng: Generator, n: int) -> NDArray[np.float64]:
        return chunk_differences(rng, n, shift=0.006)

    stops = [looked_at(apart, rng, precision=0.006)[0] for _ in range(400)]
    assert stops.count("alike within margin") / 400 <= 0.07
    assert stops.count("told apart") / 400 >= 0.8
