"""JSON in a column: written the same way each time, read with care."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.history.database import History


def written(body: Mapping[str, Any]) -> str:
    """Return ``body`` as JSON with its keys in order."""
    return json.dumps(dict(body), sort_keys=True, ensure_ascii=False)


def read(history: History, text: str, where: str) -> dict[str, Any]:
    """Return the object that ``text`` holds.

    Raises:
        HistoryInvalid: it holds something else; ``where`` says which row it is of.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise history.invalid(f"is damaged at {where}") from error
    if not isinstance(body, dict):
        raise history.invalid(f"is damaged at {where}")
    return body
