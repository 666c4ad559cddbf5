"""Parts of the report as HTML, the same on the page and in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from localkit.evals.report import figures, table
from localkit.evals.report.evidence_html import flips_html, passages_html
from localkit.render.page import Figure, cards, data_uri, details
from localkit.render.text import escape, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.report.plots import Plot


def verdict(comparison: Comparison) -> Markup:
    """Return headline, reasons, remarks and the rule."""
    decision = comparison.decision
    reasons = Markup("").join(
        Markup("<li>{}</li>").format(escape(reason))
        for reason in [*decision.reasons, *comparison.setup.remarks]
    )
    listed = Markup(
        '<ul style="font-size:0.9em;margin:0 0 10px;padding-left:20px">{}</ul>'
    ).format(reasons)
    return Markup(
        '<p style="font-weight:600">{}</p>{}'
        '<p style="font-size:0.8em;opacity:0.8;margin:0">{}</p>'
    ).format(
        escape(decision.headline),
        listed if reasons else "",
        escape(decision.rule),
    )


def figure_cards(comparison: Comparison) -> Markup:
    """Return the figures of the pick, large; nothing when nothing is to run."""
    row = next((r for r in comparison.rows if r.label == comparison.pick), None)
    if row is None or row.memory is None or row.speed is None:
        return Markup("")
    budget = comparison.setup.budget
    shown = [
        Figure("Run", row.label, f"{row.bits_per_weight:.2f} bits per weight"),
        Figure(
            "Memory",
            figures.size(row.memory.needed),
            f"at {budget.n_ctx:,} tokens; budget {figures.size(budget.n_bytes)}",
        ),
        Figure(
            "Decode",
            f"{figures.rate(row.speed.decode.median)} tok/s",
            f"quartiles {figures.rate(row.speed.decode.low)}–"
            f"{figures.rate(row.speed.decode.high)}",
        ),
        Figure(
            "Prefill",
            f"{figures.rate(row.speed.prefill.median)} tok/s",
            f"{comparison.setup.n_prompt} tokens",
        ),
    ]
    if row.max_ctx:
        shown.insert(
            2, Figure("Context that fits", f"{row.max_ctx:,}", "tokens, estimated")
        )
    if row.quality and not row.is_reference:
        kld = row.quality.kld
        shown.append(
            Figure(
                "Mean KL, nats per token",
                figures.kl(kld.value),
                f"95 %: {figures.interval(kld)}",
            )
        )
    elif row.task and row.task.difference:
        shown.append(
            Figure(
                row.task.name,
                figures.percent(row.task.score.value, places=0),
                f"Δ {figures.points(row.task.difference)} points",
            )
        )
    return cards(shown)


def tables(comparison: Comparison) -> Markup:
    """Return the overview, and the details folded by subject."""
    rows, pick = comparison.rows, comparison.pick
    folded = [
        details(title, wide(table.html(rows, cells, pick=pick), title))
        for title, cells in table.details(rows)
    ]
    return wide(table.html(rows, pick=pick), "The candidates") + Markup("").join(folded)


def wide(content: Markup, name: str) -> Markup:
    """Return what may be wider than its place, to scroll sideways there.

    It takes the focus, so that a keyboard scrolls it too.
    """
    return Markup(
        '<div role="region" tabindex="0" aria-label="{}" '
        'style="overflow-x:auto;margin:0 0 12px">{}</div>'
    ).format(escape(one_line(name)), content)


def pictures(plots: Sequence[Plot]) -> Markup:
    """Return the plots side by side where there is room."""
    images = Markup("").join(
        Markup(
            '<img src="{}" alt="{}" style="width:100%;height:auto;background:#fff;'
            'border-radius:6px">'
        ).format(data_uri(plot.png), escape(plot.alt or plot.title))
        for plot in plots
    )
    return Markup(
        '<div style="display:grid;gap:22px;align-items:start;margin:12px 0;'
        'grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr))">{}</div>'
    ).format(images)


def evidence(comparison: Comparison) -> list[Markup]:
    """Return passages and flips, folded; what there is none of is left out."""
    parts = []
    if comparison.passages:
        parts.append(
            details(
                "Passages furthest from the reference",
                passages_html(comparison.passages),
            )
        )
    if comparison.flips:
        parts.append(details("Answers that flipped", flips_html(comparison.flips)))
    return parts
