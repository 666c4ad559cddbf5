"""Whether an answer still has the form that was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.json_answer import Json
from localkit.evals.scorers.protocol import Answer, Surroundings
from localkit.evals.tasks.sample import Sample
from localkit.events import CancelToken

if TYPE_CHECKING:
    from localkit.evals.subjects.protocol import Subject

_MAX_CHARS = 1 << 20


def fault_of(text: str, kind: str, asked: str) -> str:
    """Return what is wrong with an answer, or "".

    Args:
        text: The answer.
        kind: Of the structure: ``json``, ``json_schema``, ``choice``; others cannot
            be checked without the engine, and pass.
        asked: The schema, or the list of choices, as JSON.
    """
    if len(text) > _MAX_CHARS:
        return f"it is {len(text):,} characters long"
    if kind not in {"choice", "json", "json_schema"}:
        return ""
    try:
        form = json.loads(asked) if kind != "json" else {"type": "object"}
    except (ValueError, RecursionError):
        return "the form itself is not JSON"
    if kind == "choice":
        return "" if isinstance(form, list) and text in form else "it is no choice"
    try:
        scorer = Json(schema=form, fenced=False)
    except (DatasetInvalid, TypeError, AttributeError) as error:
        return f"the schema is broken: {error}"
    around = Surroundings(_nobody, CancelToken())
    score = scorer.score(Sample("", ""), Answer(text), around)
    return "" if score.value == 1 else score.why


def _nobody(name: str) -> Subject:
    raise LookupError(name)  # this scorer asks nobody
