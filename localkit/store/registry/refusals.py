"""Why a download cannot go on as it is."""

from __future__ import annotations


class Restart(Exception):
    """What came does not belong together: the blob has to be loaded from its start."""


class NoRanges(Restart):
    """The server sends the whole blob, whatever range is asked for."""
