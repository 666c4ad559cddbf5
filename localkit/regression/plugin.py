"""The pytest plugin: ``pytest --localkit``, and fixtures.

Loaded in every pytest run of whoever has localkit installed, so it imports nothing
of localkit until it is used (a test measures that).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.kit import Kit
    from localkit.model import Model

_MARKER = (
    "localkit(model=REF, n_ctx=N, seed=N): the model that the fixture "
    "`localkit_model` loads, its context length, and the seed of its answers"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--localkit`` and what goes with it."""
    group = parser.getgroup("localkit", "notebooks with local language models")
    add = group.addoption
    add(
        "--localkit",
        action="store_true",
        help="run notebooks in fresh kernels, and compare the answers, comparisons "
        "and evaluations that are saved in them with fresh ones",
    )
    add(
        "--localkit-update",
        action="store_true",
        help="write the fresh outputs into the notebooks in which no cell failed",
    )
    add(
        "--localkit-report",
        metavar="FILE.html",
        help="write what differs into one page, word by word",
    )
    add(
        "--localkit-allow-change",
        action="store_true",
        help="judge answers of other weights, templates or adapters by the bands; "
        "without it such a change is a failure",
    )
    add(
        "--localkit-perf",
        type=float,
        metavar="RATIO",
        help="fail below this share of the saved speed, corrected by a calibration "
        "of the machine, and above 1/RATIO of the saved memory; without it both are "
        "only reported",
    )
    add(
        "--localkit-errors",
        type=float,
        default=3.0,
        metavar="K",
        help="standard errors that a score may move (default: 3)",
    )
    add(
        "--localkit-similarity",
        type=float,
        default=0.4,
        metavar="CHRF",
        help="least chrF, 0 to 1, of two answers that need not be equal (default: 0.4)",
    )
    add(
        "--localkit-timeout",
        type=float,
        default=600.0,
        metavar="S",
        help="longest that a cell may run, in seconds (default: 600)",
    )
    add(
        "--localkit-kernel",
        metavar="NAME",
        help="kernel to run in (default: the one that the notebook names)",
    )
    add(
        "--localkit-model",
        metavar="REF",
        help="model that the fixture `localkit_model` loads where no marker names one",
    )
    parser.addini("localkit_model", "the same as --localkit-model")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker; with ``--localkit`` take notebooks up."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("--localkit"):
        from localkit.regression.session import NotebookSession

        config.pluginmanager.register(NotebookSession(config), "localkit-notebooks")


@pytest.fixture(scope="session")
def localkit_kit() -> Iterator[Kit]:
    """Return the store and runtime of this session; its models are freed at the end."""
    from localkit.kit import Kit

    kit = Kit()
    yield kit
    kit.close()


@pytest.fixture
def localkit_model(request: pytest.FixtureRequest, localkit_kit: Kit) -> Model:
    """Return a loaded model; it stays loaded for the session.

    Which one, says ``@pytest.mark.localkit(model="…", n_ctx=…, seed=…)``, else
    ``--localkit-model`` or ``localkit_model`` in the ini file. A test whose model is
    not in the store is skipped, with how to get it.
    """
    from localkit.regression.fixtures import model_for

    return model_for(request, localkit_kit)
