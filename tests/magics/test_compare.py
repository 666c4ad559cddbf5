from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.utils.capture import capture_output

from localkit.evals.comparing.comparison import Comparison
from localkit.kit import set_default
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

COMPARE = "%llm compare tiny --quants f16,q8_0 --effort quick --task none"


@pytest.fixture
def family(shell: InteractiveShell, tmp_path: Path) -> Iterator[None]:
    """Make the process's kit one with a family of tiny models."""
    kit = tiny_kit(tmp_path / "family")
    set_default(kit)
    yield
    set_default(None)
    kit.close()


@pytest.mark.usefixtures("family")
def test_a_comparison_is_shown_once_however_it_is_called(
    shell: InteractiveShell,
) -> None:
    with capture_output() as shown:
        named = shell.run_cell(f"{COMPARE} -o comparison\n1 + 1")
    named.raise_error()
    (output,) = shown.outputs
    assert "text/html" in output.data
    assert named.result == 2
    assert isinstance(shell.user_ns["comparison"], Comparison)

    with capture_output() as shown:
        alone = shell.run_cell(COMPARE)
    assert isinstance(alone.result, Comparison)
    # IPython itself shows the value of a cell, here as text.
    assert shown.outputs == []
    assert shown.stdout.count("Comparison of tiny") == 1

    with capture_output() as shown:
        shell.run_cell(f"kept = {COMPARE}")
    assert isinstance(shell.user_ns["kept"], Comparison)
    assert shown.outputs == []
