"""`import localkit` is quick, because nothing heavy is reachable without a call."""

from __future__ import annotations

import statistics
import subprocess
import sys

LIMIT_S = 0.100
HEAVY = (
    "IPython",
    "datasets",
    "ipywidgets",
    "jinja2",
    "llama_cpp",
    "matplotlib",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "tornado",
)

TIMED = """
import time
start = time.perf_counter()
import localkit
print(time.perf_counter() - start)
"""

LOADED = """
import sys
import localkit
print(*{name.partition(".")[0] for name in sys.modules})
"""


def in_a_fresh_process(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_import_takes_less_than_100_ms() -> None:
    seconds = [float(in_a_fresh_process(TIMED)) for _ in range(5)]
    assert statistics.median(seconds) < LIMIT_S, seconds


def test_import_loads_nothing_heavy() -> None:
    loaded = set(in_a_fresh_process(LOADED).split())
    assert loaded & set(HEAVY) == set()
