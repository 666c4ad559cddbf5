"""Rows of the shelf as JSON for the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from localkit.evals.report.figures import percent, size, tokens
from localkit.render.text import clean, one_line
from localkit.widgets.models.record import own_bytes
from localkit.widgets.models.words import (
    PINNED,
    left,
    licence_names,
    loaded,
    millions,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.runtime.pool.standing import Standing
    from localkit.widgets.models.fits import Budget
    from localkit.widgets.models.shelf import Details, Row, Rows

MAX_LICENCE: Final = 100_000
"""Characters of a licence that are shown."""


def rows_state(
    shelf: Rows, standings: Mapping[str, Standing], budget: Budget
) -> list[dict[str, Any]]:
    """Return each model with its cells, its fit bars and what can be done with it."""
    return [_row(row, standings, budget) for row in shelf.rows]


def _row(row: Row, standings: Mapping[str, Standing], budget: Budget) -> dict[str, Any]:
    base = {
        "ref": row.ref,
        "size": size(row.size) if row.size else "",
        "shared": size(row.shared) if row.shared else "",
        "pinned": row.pinned,
        "pinnedText": PINNED[row.pinned],
        "trouble": one_line(row.trouble),
    }
    details = row.details
    if details is None:
        return base
    standing = standings.get(details.weights_digest)
    here = standing is not None and standing.state == "loaded"
    return {
        **base,
        "quant": one_line(details.quant),
        "bits": f"{details.bits_per_weight:.2f}",
        "params": millions(details.n_params),
        "training": tokens(details.n_ctx_train) if details.n_ctx_train else "",
        "can": list(details.capabilities),
        "licence": licence_names(details),
        "loaded": loaded(standing),
        "left": left(standing) if standing and standing.state != "unloaded" else "",
        "isLoaded": here,
        "fits": _fits(details, budget, own_bytes(standing)),
    }


def _fits(details: Details, budget: Budget, own: int) -> list[dict[str, Any]]:
    available = max(1, budget.available + own)
    return [
        {
            "tokens": tokens(fit.n_ctx),
            "total": size(fit.total),
            "parts": f"{size(fit.weights)} weights, {size(fit.kv)} KV, "
            f"{size(fit.compute)} compute",
            "share": round(min(1.0, fit.total / available), 2),
            "percent": percent(fit.total / available, places=0),
            "verdict": verdict(fit, budget, own),
            "fits": fit.total <= available,
        }
        for fit in details.fits
    ]


def licence_state(ref: str, row: Row | None) -> dict[str, Any]:
    """Return the licence texts of a model, and what is known of their terms."""
    found = row.details.licences if row is not None and row.details else ()
    texts = []
    for one in found:
        text = clean(one.text)
        cut = len(text) - MAX_LICENCE
        if cut > 0:
            text = f"{text[:MAX_LICENCE]}\n[{cut:,} more characters are not shown]"
        texts.append(
            {
                "name": one_line(one.terms.name),
                "terms": f"commercial use: {one.terms.commercial} · passing on: "
                f"{one.terms.redistribution} · naming it: {one.terms.attribution} "
                f"· found in: {one.origin}",
                "text": text,
            }
        )
    return {"ref": ref, "texts": texts}
