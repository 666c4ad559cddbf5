from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from localkit.cli import main
from localkit.kit import set_default
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., Result]

QUICK = ("compare", "tiny", "--effort", "quick", "--task", "none")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Return a function that runs a command line on a family of tiny models."""
    kit = tiny_kit(tmp_path / "family")
    set_default(kit)
    yield lambda *words: CliRunner().invoke(main, list(words))
    set_default(None)
    kit.close()


def test_the_verdict_and_the_table_are_printed_and_the_report_written(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    result = run(*QUICK, "--quants", "f16,q8_0", "--report", str(folder))
    assert result.exit_code == 0, result.stderr
    assert "Q8_0" in result.stdout
    assert "Rule:" in result.stdout
    (page,) = folder.glob("*.html")
    assert str(page) in result.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--quants", "F16,Q6_K"), "Q6_K"),
        (("--budget", "plenty"), "plenty"),
        (("--reference", "Q5_0"), "Q5_0"),
        (("--task", "nonsense"), "nonsense"),
    ],
)
def test_a_bad_argument_is_one_line(
    run: Run, words: tuple[str, ...], says: str
) -> None:
    result = run("compare", "tiny", "--effort", "quick", *words)
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert says in line
    assert "→" in line


def test_a_text_that_is_not_there_is_named_with_those_that_are(run: Run) -> None:
    result = run(*QUICK, "--text", "nowhere.txt")
    assert result.exit_code == 1
    assert "nowhere.txt" in result.stderr
    assert "jargon-file" in result.stderr
