from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


def assert_one_line(result: Result, *parts: str) -> None:
    """Check that a command failed with one line that says what to do."""
    lines = result.stderr.strip().splitlines()
    assert result.exit_code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert "→" in lines[0]
    for part in parts:
        assert part in lines[0]


def test_a_file_that_is_no_gguf_is_refused_in_one_line(
    run: Run, kit: Kit, tmp_path: Path
) -> None:
    page = tmp_path / "model.gguf"
    page.write_text("<!doctype html><title>404</title>", encoding="utf-8")
    assert_one_line(run("add", str(page)), "model.gguf")
    assert len(kit.store.list()) == 1


def test_a_missing_file_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    assert_one_line(run("add", str(tmp_path / "gone.gguf")), "gone.gguf")


def test_a_truncated_gguf_is_refused_in_one_line(
    run: Run, kit: Kit, tiny_gguf: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:-1000])
    assert_one_line(run("add", str(cut)))
    assert len(kit.store.list()) == 1


def test_an_unknown_model_is_refused_with_the_nearest_names(run: Run) -> None:
    assert_one_line(run("show", "tiny:f61"), "'tiny:f61'", "tiny:f16")


@pytest.mark.parametrize("ref", ["../../etc/passwd", "a/../../b", "tiny:../x", "/etc"])
def test_S6_a_ref_that_leaves_the_store_is_refused(run: Run, ref: str) -> None:
    for command in ("show", "rm", "run"):
        assert_one_line(run(command, ref, *["hi"][: command == "run"]))


def test_an_unknown_source_is_refused_in_one_line(run: Run) -> None:
    assert_one_line(run("pull", "ftp://example.org/model"), "model[:tag]")


def test_a_package_that_is_not_installed_is_refused_in_one_line(run: Run) -> None:
    assert_one_line(run("pull", "pkg:no-such-package"), "pip install")


def test_R1_a_prompt_longer_than_the_context_is_refused(run: Run) -> None:
    result = run("run", "tiny:f16", "--n-ctx", "64", "x" * 500)
    assert_one_line(result, "tokens", "n_ctx is 256")


def test_an_unknown_quant_is_refused_in_one_line(run: Run) -> None:
    assert_one_line(run("quantize", "tiny:f16", "Q9_Z"), "'Q9_Z'", "Q4_K_M")


def test_a_wrong_call_shows_usage_and_exits_2(run: Run) -> None:
    result = run("rn")
    assert result.exit_code == 2
    assert "Did you mean" in result.stderr


def test_names_are_for_notebooks(run: Run) -> None:
    result = run("list", "-o", "models")
    assert result.exit_code == 2
    assert "no namespace" in result.stderr


def test_a_bug_is_not_dressed_up(run: Run, kit: Kit, monkeypatch) -> None:
    def broken(prefix: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(kit.store, "list", broken, raising=False)
    assert isinstance(run("list").exception, ZeroDivisionError)


def test_R4_ctrl_c_ends_a_command_with_130_and_one_line(tmp_path: Path) -> None:
    program = (
        "import os, signal, localkit.cli.models as models\n"
        "from localkit.cli import main\n"
        "class Stopped:\n"
        "    def list(self, prefix): signal.raise_signal(signal.SIGINT)\n"
        "models.default_kit = lambda: type('Kit', (), {'store': Stopped()})()\n"
        "main(['list'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LOCALKIT_HOME": str(tmp_path)},
    )
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip() == "interrupted"
