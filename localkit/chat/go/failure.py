"""What goes wrong in a Go template, with its line."""

from __future__ import annotations


class GoTemplateFault(Exception):
    """The template does not parse, or fails where it stands."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Keep the reason; 0 is no line."""
        super().__init__(reason)
        self.reason = reason
        self.line = line
