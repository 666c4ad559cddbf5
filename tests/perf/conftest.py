"""How often the perf tests measure: `pytest tests/perf -m perf -s --rounds 1`."""

from __future__ import annotations

import pytest

from tests.perf.interleaved import ROUNDS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds", type=int, default=ROUNDS, help="blocks whose median decides"
    )


@pytest.fixture
def n_rounds(request: pytest.FixtureRequest) -> int:
    rounds: int = request.config.getoption("--rounds", ROUNDS)
    return rounds
