"""The plugin in somebody else's pytest run: quick, silent, and there when called."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.fixtures.regression import run_pytest, write_notebook

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 0.005

TIMED = """
import sys, time
import pytest, localkit
before = set(sys.modules)
start = time.perf_counter()
import localkit.regression.plugin
taken = time.perf_counter() - start
print(taken, *sorted(set(sys.modules) - before))
"""


def test_loading_it_takes_less_than_5_ms_and_nothing_else_along() -> None:
    taken, loaded = [], set()
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", TIMED], capture_output=True, text=True, check=True
        )
        seconds, *modules = run.stdout.split()
        taken.append(float(seconds))
        loaded |= set(modules)
    assert min(taken) < LIMIT_S, taken
    assert loaded == {"localkit.regression", "localkit.regression.plugin"}


TESTS = """
import sys

import pytest


def test_nothing_of_localkit_is_loaded():
    ours = {name for name in sys.modules if name.startswith("localkit")}
    assert ours == {
        "localkit",
        "localkit.regression",
        "localkit.regression.plugin",
        "localkit.version",
    }


@pytest.mark.localkit(model="tiny:f16", n_ctx=128, seed=5)
def test_a_model_by_marker(localkit_model):
    result = localkit_model.generate("Once", max_tokens=4)
    assert result.receipt.params.seed == 5
    assert result.receipt.runtime.n_ctx >= 128
    assert localkit_model.generate("a", max_tokens=2, seed=6).receipt.params.seed == 6


def test_the_ini_files_model(localkit_model, localkit_kit):
    assert str(localkit_model.stored.ref) == "other:f16"
    assert localkit_model.session is localkit_kit.load("other:f16").session


@pytest.mark.localkit("gone:latest")
def test_a_missing_model_skips(localkit_model):
    raise AssertionError


@pytest.mark.localkit(modle="tiny:f16")
def test_a_wrong_word_is_an_error(localkit_model):
    raise AssertionError
"""


def test_the_fixtures_load_what_a_test_asks_for(
    tmp_path: Path, tiny_home: Path
) -> None:
    write_notebook(tmp_path / "left_alone.ipynb", ["1 / 0"])
    (tmp_path / "test_it.py").write_text(TESTS)
    ran = run_pytest(
        tmp_path,
        "-rs",
        "--strict-markers",
        "-W",
        "error",
        "-o",
        "localkit_model=other:f16",
        LOCALKIT_HOME=str(tiny_home),
    )
    assert "3 passed, 1 skipped, 1 error" in ran.stdout, ran.stdout
    assert "model 'gone:latest' is not in the store →" in ran.stdout
    assert "takes model, n_ctx, seed, not modle" in ran.stdout
    assert "ipynb" not in ran.stdout


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    write_notebook(tmp_path / "a.ipynb", ["1"])
    (tmp_path / "damaged.ipynb").write_text("{")
    ran = run_pytest(
        tmp_path,
        "--localkit",
        "--localkit-kernel=nobody",
        "--continue-on-collection-errors",
    )
    assert "there is no kernel 'nobody' here → name another" in ran.stdout
    assert "damaged.ipynb cannot be read as a notebook" in ran.stdout
    assert ran.returncode == 1
