"""The quants of a source before one is pulled, for the view."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from localkit.evals.report.figures import MISSING, size
from localkit.store.sources.route import (
    HubSource,
    PackageSource,
    RegistrySource,
    route,
)

if TYPE_CHECKING:
    from localkit.choosing.weighing import Weighed, Weighing

MAX_QUANTS: Final = 100
_WORDS: Final = {"fits": "yes", "no": "no"}


def weighed_state(source: str, weighing: Weighing) -> dict[str, Any]:
    """Return what was weighed, as JSON; each row with the source that pulls it."""
    left_out = len(weighing.rows) - MAX_QUANTS
    more = [f"{left_out} more quants are not shown"] if left_out > 0 else []
    return {
        "what": weighing.what,
        "rows": [
            {
                "quant": row.label,
                "size": size(row.size),
                "bits": _bits(row),
                "needs": size(row.needed),
                "fits": _WORDS.get(row.verdict, row.why),
                "longest": ""
                if row.n_ctx_that_fits is None
                else f"{row.n_ctx_that_fits:,}",
                "chosen": row.label == weighing.chosen,
                "source": source_of(source, row.label),
            }
            for row in weighing.rows[:MAX_QUANTS]
        ],
        "notes": [*weighing.notes, *([weighing.why] if weighing.why else []), *more],
    }


def source_of(source: str, label: str) -> str:
    """Return the text that pulls the quant ``label`` of ``source``."""
    place = route(source)
    if isinstance(place, HubSource):
        if label.lower().endswith(".gguf"):
            return str(dataclasses.replace(place, file=label, quant=None))
        return str(dataclasses.replace(place, quant=label, file=None))
    if isinstance(place, PackageSource):
        name, _, _ = place.what.partition("/")
        return f"pkg:{name}/{label}"
    if isinstance(place, RegistrySource):
        return str(place.ref.with_tag(label))
    return source


def _bits(row: Weighed) -> str:
    return MISSING if row.bits_per_weight is None else f"{row.bits_per_weight:.2f}"
