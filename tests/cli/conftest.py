from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from localkit.cli import main
from tests.fixtures.kits import fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localkit.kit import Kit


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    """Return the process's kit: a store with `tiny:f16`, a runtime without weights."""
    with fake_kit(tiny_gguf) as kit:
        yield kit


@pytest.fixture
def run(kit: Kit) -> Callable[..., Result]:
    """Return a function that runs a command line as the terminal does."""

    def run(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(words), input=stdin)

    return run
