"""What `bench` hands back: one row a test, as llama-bench has them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from localkit.evals.comparing.record import plain
from localkit.evals.report import figures
from localkit.evals.report.table import Grid
from localkit.render.table import html_table, plain_table

if TYPE_CHECKING:
    from localkit.evals.comparing.row import Spread
    from localkit.evals.speed.clients import Latency
    from localkit.evals.speed.ratio import Best
    from localkit.evals.statistics.estimates import Estimate

Unit = Literal["tok/s", "s"]
_ALIGN = {"model": "<", "test": "<", "noisy": "<"}
_MS = 1000


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One model, loaded one way, in one test."""

    model: str
    """Ref; with what sets it apart from the other rows' loads behind it."""
    quant: str
    file_size: int
    n_params: int
    settings: dict[str, str | int]
    """Fingerprint of the runtime: engine, device, threads, KV type, …"""
    test: str
    """As llama-bench names it: ``pp512``, ``tg128 @ d4096``; else ``4 clients``."""
    figures: Spread
    unit: Unit = "tok/s"
    ratio: Estimate | None = None
    """To the first model's figure in the same test, by repetition; None: it is it."""
    noise: str = ""
    """Why the figure is noisy; empty when it is not."""
    latency: Latency | None = None
    """Of clients who asked at once."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Every row, and what they say of the settings that were tried."""

    rows: tuple[BenchRow, ...]
    best: dict[str, Best] = field(default_factory=dict)
    """By test, where more than one load was timed."""
    interleaved: bool = True
    energy: dict[str, str] = field(default_factory=dict)
    """Joule per token by model, or why there is no figure; empty: not asked for."""

    def grid(self) -> Grid:
        """Return the table of all rows; a column that says nothing is left out."""
        heads = ["model", "size", "test", "median (quartiles)", "ratio", "noisy"]
        cells = [
            [
                row.model,
                figures.size(row.file_size),
                row.test,
                f"{figures.spread(row.figures)} {row.unit}",
                _ratio(row.ratio),
                row.noise,
            ]
            for row in self.rows
        ]
        return _filled(heads, cells)

    def waits(self) -> Grid:
        """Return the table of what clients waited for, in milliseconds."""
        heads = ["model", "clients"]
        heads += [f"{name} {p}" for name in ("TTFT", "ITL") for p in _PERCENTILES]
        heads += ["tok/s together"]
        cells = []
        for row in self.rows:
            seen = row.latency
            if seen is None:
                continue
            times = [f"{_MS * wait:.0f} ms" for wait in seen.ttft]
            times += [f"{_MS * wait:.1f} ms" for wait in seen.itl]
            together = figures.spread(seen.decode)
            cells.append([row.model, str(seen.n_clients), *times, together])
        return _filled(heads, cells)

    def remarks(self) -> list[str]:
        """Return what a reader has to know beside the figures."""
        told = {test: found for test, found in self.best.items() if found.slower}
        said = [f"{test}: {found}." for test, found in told.items()]
        alike = [test for test in self.best if test not in told]
        if alike:
            said.append(
                f"Nothing is shown to be slower in {figures.listing(alike)}: more "
                "repetitions tell smaller differences apart."
            )
        said += [f"Energy of {label}: {text}." for label, text in self.energy.items()]
        if not self.interleaved:
            said.append(
                "The loads do not fit in memory side by side, so they were timed one "
                "after the other: what slows the machine does not slow all alike."
            )
        noisy = sum(bool(row.noise) for row in self.rows)
        if noisy:
            said.append(
                f"{noisy} of {len(self.rows)} figures are noisy: read the ratios, "
                "which compare repetition by repetition, or run it on a quiet machine."
            )
        return said

    def save(self, path: str | Path) -> Path:
        """Write every figure and repetition to ``path`` as JSON."""
        target = Path(path)
        text = json.dumps(plain(self), indent=1, ensure_ascii=False)
        target.write_text(text + "\n", encoding="utf-8")
        return target

    def __str__(self) -> str:
        """Return the tables as aligned text."""
        parts = [_text(self.grid())]
        if self.waits().cells:
            parts.append(_text(self.waits()))
        return "\n\n".join([*parts, "\n".join(self.remarks())]).rstrip()

    def _repr_html_(self) -> str:
        """Return the tables as a notebook shows them."""
        tables = [table for table in (self.grid(), self.waits()) if table.cells]
        return "".join(
            html_table(table.heads, table.cells, align=table.align) for table in tables
        )


_PERCENTILES = ("p50", "p95", "p99")


def _ratio(found: Estimate | None) -> str:
    if found is None:
        return ""
    if math.isnan(found.low):
        return f"{found.value:.2f} (no interval)"
    return f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f})"


def _filled(heads: list[str], cells: list[list[str]]) -> Grid:
    keep = [i for i in range(len(heads)) if not cells or any(row[i] for row in cells)]
    heads = [heads[i] for i in keep]
    align = "".join(_ALIGN.get(head, ">") for head in heads)
    return Grid(heads, [[row[i] for i in keep] for row in cells], align)


def _text(table: Grid) -> str:
    return plain_table(table.heads, table.cells, align=table.align)
