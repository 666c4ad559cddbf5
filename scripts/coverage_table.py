"""Write docs/coverage.md: how often each interval covers the truth, simulated.

    .venv/bin/python scripts/coverage_table.py [samples]

Four thousand samples a cell take two minutes.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.evals.statistics.simulated import (  # noqa: E402
    Cell,
    Coverage,
    called,
    calls,
    cells,
    simulate,
)

SEED = 1
HEAD = """\
# How often an interval covers the truth

Every figure of localkit stands with a 95 % interval. Here samples are drawn whose
truth is known, and counted is how often the interval holds it. "Ends below" is the
share of intervals that end below the truth, "starts above" of those that start above
it: 2.5 and 2.5 would be ideal. "Claims" is what the method says of itself; where it
says "none", the number is here so that you know it. Of fewer than ten chunks or groups,
and fewer than eight items that differ, the method named beside the figure says so.

n is what is independent: chunks of 255 scored tokens, items, groups of items. "As
measured" has the spread of the KL divergence of a Q4_K_M on Wikipedia text, within a
chunk and between chunks; "heavy tails" and "few chunks carry it" are worse than what
was measured, and what a broken quant may look like.
"""
TAIL = """\
## How to read it

- **KL from few chunks.** The mean of a heavy tail is more often too low than too high.
  The interval of the logarithm leans the right way; where few chunks carry the mean it
  covers 91 to 93 %, the symmetric one 86 to 92. The 99 % quantile beside the mean keeps
  its 95 %: look at both.
- **Few items, few differences.** Student's t of graded scores at n=10 covers less than
  90 %, since three items or so differ at all; the method then says "only 3 differ". The
  p-value next to it, from flipping signs, needs no normal law and errs in 5 % or
  less.
- **Flips.** Bonett and Price's interval is wide where few items flip, never short.
- **Sequential.** Looking four times and stopping at will, the interval at the stop
  covers as often as one that looked once.
- **Bootstrap.** Resampling few chunks knows only those: the jackknife and Woodruff's
  interval take Student's t instead. BCa over 30 items is short for the same reason.
"""
CALLS = """\
## A model against itself

How often a test at 5 % calls a difference where there is none, as many samples. Exact
tests stay below 5 % where few patterns are possible. "Four looks" counts what any of
them calls.

| test | setting | n | called % |
|---|---|---:|---:|"""


def main() -> None:
    """Simulate every cell, and write the table with how to read it."""
    n_samples = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    today = datetime.datetime.now(tz=datetime.UTC).date()
    lines = [
        HEAD,
        f"{n_samples:,} samples a cell (of bootstraps and looks an eighth to a half), "
        f"seed {SEED}, {today}, by `scripts/coverage_table.py`.\n",
        "| figure (method) | setting | n | covered % | ends below % | starts above % "
        "| claims |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for cell in cells():
        found = simulate(cell, n_samples // cell.slow, seed=SEED)
        lines.append(row(cell, found))
        print(lines[-1], flush=True)
    lines += ["", TAIL, CALLS]
    for call in calls():
        share = called(call, n_samples // call.slow, seed=SEED)
        lines.append(f"| {call.test} | {call.setting} | {call.n} | {100 * share:.1f} |")
        print(lines[-1], flush=True)
    lines.append("")
    (ROOT / "docs" / "coverage.md").write_text("\n".join(lines), encoding="utf-8")


def row(cell: Cell, found: Coverage) -> str:
    """Return a cell's line of the table."""
    shares = " | ".join(f"{100 * share:.1f}" for share in found)
    return f"| {cell.method} | {cell.setting} | {cell.n} | {shares} | {cell.claims} |"


if __name__ == "__main__":
    main()
