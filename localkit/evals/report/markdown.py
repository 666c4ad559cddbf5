"""A comparison as Markdown: the same report where HTML is not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report import method, table
from localkit.evals.report.columns import overview
from localkit.evals.report.evidence_html import flips_table, where, worst_token
from localkit.evals.report.grid_markdown import grid_markdown
from localkit.evals.report.page import subtitle, title
from localkit.render import as_markdown
from localkit.render.as_markdown import block, code, folded, inline
from localkit.render.page import data_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.report.evidence import Flip, Passage
    from localkit.evals.report.plots import Plot
    from localkit.evals.report.table import Grid


def to_markdown(comparison: Comparison, *, images: str | None = None) -> str:
    """Return the report in GitHub's Markdown; text of models and data is escaped.

    ``images`` is the folder of the plots, relative to where the text will lie; None
    puts them into the text itself.
    """
    decision, setup = comparison.decision, comparison.setup
    rows, pick = comparison.rows, comparison.pick
    chosen = [index for index, row in enumerate(rows) if row.label == pick]
    parts = [
        f"# {inline(title(comparison))}",
        inline(subtitle(comparison)),
        f"> **{inline(decision.headline)}**",
        _listed([*decision.reasons, *setup.remarks]),
        f"*{inline(decision.rule)}*",
        "## The candidates",
        grid_markdown(table.grid(rows, overview(rows)), chosen),
        inline(method.legend(comparison)),
        *(
            folded(name, _captioned(cells, chosen))
            for name, cells in table.details(rows)
        ),
        *_pictures(comparison.plots, images),
        *_evidence(comparison),
        "## What was measured",
        _terms(method.facts(comparison)),
        "## How to read it",
        _terms(method.definitions(comparison)),
        "## Again",
        "Measured figures are kept; this command shows them again and measures what "
        "is missing.",
        block(setup.command, language="sh"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _captioned(cells: Grid, bold: Sequence[int]) -> str:
    caption = f"{inline(cells.caption)}\n\n" if cells.caption else ""
    return caption + grid_markdown(cells, bold)


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {inline(line)}" for line in lines)


def _terms(pairs: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- **{inline(term)}**: {inline(value)}" for term, value in pairs)


def _pictures(plots: Sequence[Plot], images: str | None) -> list[str]:
    if not plots:
        return []
    shown = [
        f"![{inline(plot.alt or plot.title)}]"
        f"({data_uri(plot.png) if images is None else f'{images}/{plot.name}.png'})"
        for plot in plots
    ]
    return ["## In pictures", *shown]


def _evidence(comparison: Comparison) -> list[str]:
    parts = []
    if comparison.passages:
        body = "\n\n".join(map(_passage, comparison.passages))
        parts.append(folded("Passages furthest from the reference", body))
    if comparison.flips:
        parts.append(folded("Answers that flipped", _flips(comparison.flips)))
    return ["## Where it breaks", *parts] if parts else []


def _passage(passage: Passage) -> str:
    told = worst_token(passage)
    head = f"**{inline(passage.label)}**, {inline(where(passage))}"
    if told:
        head += f"; {inline(told)}"
    return f"{head}\n\n{block(''.join(passage.pieces))}"


def _flips(flips: Sequence[Flip]) -> str:
    heads, rows = flips_table(flips)
    n_plain = len(heads) - 4
    return as_markdown.table(
        heads,
        [[*map(inline, line[:n_plain]), *map(code, line[n_plain:])] for line in rows],
    )
