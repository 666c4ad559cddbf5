"""The cells of the table: the same words in the view and in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from localkit.evals.report.figures import MISSING, size, tokens
from localkit.render.text import one_line
from localkit.widgets.monitor.figures import state_of

if TYPE_CHECKING:
    from localkit.runtime.pool.standing import Standing
    from localkit.widgets.models.fits import Budget, Fit
    from localkit.widgets.models.shelf import Details, Pinned, Row

HEADERS: Final = (
    "model",
    "quant",
    "bits per weight",
    "size",
    "parameters",
    "training context",
    "can",
    "licence",
    "pinned",
    "loaded",
)
ALIGN: Final = "<<>>>><<<<"
PINNED: Final[dict[Pinned, str]] = {
    "no": "no",
    "pinned": "yes",
    "changed": "CHANGED since",
}


def cells(row: Row, standing: Standing | None) -> tuple[str, ...]:
    """Return the cells of one model, under `HEADERS`."""
    details = row.details
    if details is None:
        what: tuple[str, ...] = (MISSING,) * 2
        more: tuple[str, ...] = (MISSING, MISSING, row.trouble, MISSING)
    else:
        what = details.quant, f"{details.bits_per_weight:.2f}"
        more = (
            millions(details.n_params),
            tokens(details.n_ctx_train) if details.n_ctx_train else MISSING,
            ", ".join(details.capabilities),
            licence_names(details),
        )
    return (
        row.ref,
        *what,
        disk(row),
        *more,
        PINNED[row.pinned],
        loaded(standing),
    )


def disk(row: Row) -> str:
    """Return what a model takes on the disk, shared bytes said."""
    if not row.size:
        return MISSING
    shared = f" ({size(row.shared)} shared)" if row.shared else ""
    return size(row.size) + shared


def licence_names(details: Details) -> str:
    """Return what the licences are called."""
    names = [one_line(one.terms.name) for one in details.licences]
    return ", ".join(names) or "not stated"


def loaded(standing: Standing | None) -> str:
    """Return whether and how a model is loaded, without what changes by the second."""
    if standing is None or standing.state == "unloaded":
        return "no"
    if standing.memory is None or standing.state != "loaded":
        return standing.state
    return f"{standing.n_ctx:,} tokens, {size(standing.memory.total)}"


def left(standing: Standing | None) -> str:
    """Return until when a loaded model stays."""
    return "" if standing is None else state_of(standing)


def fit_text(fit: Fit) -> str:
    """Return the estimate for one context length."""
    return size(fit.total)


def verdict(fit: Fit, budget: Budget, own: int) -> str:
    """Return whether a load fits now; ``own`` bytes are freed by loading it again."""
    if fit.total <= budget.available + own:
        return "fits"
    return "not whole on the GPU" if budget.on_gpu else "does not fit"


def millions(n_params: int) -> str:
    """Return a number of parameters as people say it: ``135 M``, ``7.6 B``."""
    if n_params >= 10**9:
        return f"{n_params / 1e9:.3g} B"
    if n_params >= 10**6:
        return f"{n_params / 1e6:.3g} M"
    return f"{n_params:,}"
