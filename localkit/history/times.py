"""When a row was made."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the present second as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
