"""A sample as ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.render.summary import figure_row, line, stack, titled
from localkit.render.table import html_table, plain_table
from localkit.render.text import one_line
from localkit.widgets.monitor.figures import (
    MODEL_ALIGN,
    MODEL_HEADERS,
    REQUEST_ALIGN,
    REQUEST_HEADERS,
    lines,
    model_row,
    request_row,
)
from localkit.widgets.panel import Record

if TYPE_CHECKING:
    from localkit.widgets.monitor.sample import Sample

_NOTHING_LOADED = "no model is loaded in this process"
_NO_REQUESTS = "no request has ended yet"


def record_of(sample: Sample) -> Record:
    """Return what a monitor shows, as text and as HTML."""
    figures = lines(sample)
    models = [model_row(one) for one in sample.models]
    requests = [request_row(one) for one in sample.requests]
    n = len(models)
    loaded = f"{n} model{'s' * (n != 1)}"
    return Record(
        plain="\n\n".join(
            [
                "\n".join(
                    one_line(
                        f"{one.label}: {one.value}"
                        + (f" ({one.note})" if one.note else "")
                    )
                    for one in figures
                ),
                plain_table(MODEL_HEADERS, models, align=MODEL_ALIGN)
                if models
                else _NOTHING_LOADED,
                plain_table(REQUEST_HEADERS, requests, align=REQUEST_ALIGN)
                if requests
                else _NO_REQUESTS,
            ]
        ),
        html=stack(
            figure_row(figures),
            titled(
                "Models",
                html_table(MODEL_HEADERS, models, align=MODEL_ALIGN, row_headers=True)
                if models
                else line(_NOTHING_LOADED),
            ),
            titled(
                "Recent requests",
                html_table(REQUEST_HEADERS, requests, align=REQUEST_ALIGN)
                if requests
                else line(_NO_REQUESTS),
            ),
        ),
        title=f"Monitor: {loaded}, {len(requests)} recent requests",
        metadata={"kind": "monitor", "n_models": n, "n_requests": len(requests)},
    )
