"""A comparison as a report: one self-contained page, its plots, its record.

The page and the notebook output are made of the same parts. Styles are inline,
so that an untrusted notebook, which loses its style sheets, still shows them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from localkit.evals.report import figures, method, table
from localkit.evals.report.evidence_html import flips_html, passages_html
from localkit.io.atomic import write_atomic
from localkit.io.disk import explained_write_errors
from localkit.render.page import (
    Figure,
    callout,
    cards,
    data_uri,
    definitions,
    details,
    header,
    html_page,
    section,
)
from localkit.render.text import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.comparison import Comparison
    from localkit.evals.report.plots import Plot


class ReportFiles(NamedTuple):
    """Where a report lies."""

    html: Path
    plots: tuple[Path, ...]
    json: Path


def save(comparison: Comparison, folder: Path | str) -> ReportFiles:
    """Write ``report.html``, one PNG a plot and ``results.json`` into ``folder``.

    Raises:
        DiskFull: there is no room for them.
        StoreError: the folder may not be written.
    """
    target = Path(folder).expanduser()
    images = {target / f"{plot.name}.png": plot.png for plot in comparison.plots}
    record = _record(comparison).encode()
    page = page_html(comparison).encode()
    files = {target / "report.html": page, target / "results.json": record} | images
    with explained_write_errors(sum(map(len, files.values())), target):
        for path, content in files.items():
            write_atomic(path, content)
    return ReportFiles(target / "report.html", tuple(images), target / "results.json")


def page_html(comparison: Comparison) -> str:
    """Return the report as one document that loads nothing."""
    setup = comparison.setup
    title = f"Which quant of {setup.model}?"
    reference = comparison.reference
    subtitle = (
        f"{len(comparison.rows)} candidates against {setup.reference} "
        f"({reference.ref}, sha256 {reference.weights_digest.split(':')[-1][:12]}) on "
        f"{setup.fingerprint.get('device', 'this machine')}, {_date(setup.measured)}"
    )
    record = Markup("<pre>{}</pre>").format(escape(_record(comparison)))
    body = Markup("\n").join(
        [
            header(title, subtitle=subtitle, kicker="localkit comparison"),
            callout("Verdict", _verdict(comparison)),
            _cards(comparison),
            section(
                "The candidates",
                _tables(comparison),
                note=method.LEGEND,
            ),
            section("In pictures", _plots(comparison.plots)),
            *_evidence(comparison),
            section("What was measured", definitions(method.facts(comparison))),
            section("How to read it", definitions(method.definitions(comparison))),
            section(
                "Again",
                Markup("<p>Measured figures are kept; this command shows them again ")
                + Markup("and measures what is missing.</p><pre>{}</pre>{}").format(
                    escape(setup.command), details("Record (results.json)", record)
                ),
            ),
        ]
    )
    return html_page(title, body)


def notebook_html(comparison: Comparison) -> str:
    """Return the report's parts for a notebook cell: static, inline styles only."""
    facts = Markup("").join(
        Markup("<tr><td style='padding:2px 12px 2px 0;text-align:left'>{}</td>").format(
            escape(term)
        )
        + Markup("<td style='text-align:left;padding:2px 0'>{}</td></tr>").format(
            escape(value)
        )
        for term, value in method.facts(comparison) + method.definitions(comparison)
    )
    return str(
        Markup('<div style="max-width:1080px">{}{}{}{}{}</div>').format(
            Markup(
                '<div style="border-left:4px solid #0072b2;padding:6px 14px;'
                'margin:4px 0 14px">{}</div>'
            ).format(_verdict(comparison)),
            _tables(comparison),
            _plots(comparison.plots),
            Markup("").join(_evidence_details(comparison)),
            details(
                "What was measured, and how to read it",
                Markup('<table style="font-size:13px">{}</table>').format(facts),
            ),
        )
    )


def _date(moment: str) -> str:
    """Return an ISO 8601 moment in UTC without its seconds."""
    return f"{moment[:16].replace('T', ' ')} UTC"


def _verdict(comparison: Comparison) -> Markup:
    decision = comparison.decision
    reasons = Markup("").join(
        Markup("<li>{}</li>").format(escape(reason))
        for reason in [*decision.reasons, *comparison.setup.remarks]
    )
    return Markup(
        '<p style="font-weight:600">{}</p>'
        '<ul style="font-size:0.9em;margin:0 0 10px;padding-left:20px">{}</ul>'
        '<p style="font-size:0.8em;opacity:0.8;margin:0">{}</p>'
    ).format(escape(decision.headline), reasons, escape(decision.rule))


def _cards(comparison: Comparison) -> Markup:
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
    if row.quality and not row.is_reference:
        kld = row.quality.kld
        shown.append(
            Figure(
                "Mean KL, nats per token",
                figures.kl(kld.value),
                f"95 %: {figures.interval(kld)}; same top token "
                f"{figures.percent(row.quality.same_top.value)}",
            )
        )
    return cards(shown)


def _tables(comparison: Comparison) -> Markup:
    rows, pick = comparison.rows, comparison.pick
    folded = [
        ("Quality on text", table.QUALITY, any(row.quality for row in rows)),
        ("Task", table.TASK, any(row.task for row in rows)),
        ("Speed", table.SPEED, any(row.speed for row in rows)),
        ("Memory by kind", table.MEMORY, any(row.memory for row in rows)),
        ("Files and weight types", table.FILES, True),
    ]
    return _wide(table.html(rows, pick=pick)) + Markup("").join(
        details(title, _wide(table.html(rows, columns, pick=pick)))
        for title, columns, measured in folded
        if measured
    )


def _wide(content: Markup) -> Markup:
    """Return what may be wider than its place, to scroll sideways there."""
    return Markup('<div style="overflow-x:auto;margin:0 0 12px">{}</div>').format(
        content
    )


def _plots(plots: Sequence[Plot]) -> Markup:
    images = Markup("").join(
        Markup(
            '<img src="{}" alt="{}" style="width:100%;height:auto;background:#fff;'
            'border-radius:6px">'
        ).format(data_uri(plot.png), escape(plot.title))
        for plot in plots
    )
    return Markup(
        '<div style="display:grid;gap:22px;align-items:start;margin:12px 0;'
        'grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr))">{}</div>'
    ).format(images)


def _evidence(comparison: Comparison) -> list[Markup]:
    parts = _evidence_details(comparison)
    if not parts:
        return []
    return [
        section(
            "Where it breaks",
            Markup("").join(parts),
            note="The figures above as single cases. Text and answers are the "
            "data's, shown as they are.",
        )
    ]


def _evidence_details(comparison: Comparison) -> list[Markup]:
    parts = []
    if comparison.passages:
        parts.append(
            details(
                "Passages furthest from the reference",
                passages_html(comparison.passages),
            )
        )
    if comparison.flips:
        parts.append(
            details("Answers that flipped", flips_html(comparison.flips)),
        )
    return parts


def _record(comparison: Comparison) -> str:
    """Return the comparison as JSON."""
    return json.dumps(
        comparison.as_dict(), ensure_ascii=False, indent=1, allow_nan=False
    )
