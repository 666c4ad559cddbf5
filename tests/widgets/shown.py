"""Outputs of a cell, as tests see them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Shown:
    """One output: the bundle it has now, and how often it was replaced."""

    data: dict[str, str]
    metadata: dict[str, object]
    n_updates: int = 0

    def update(
        self, data: dict[str, str], *, metadata: dict[str, object], **_: object
    ) -> None:
        """Take the place of what was shown: a display handle's."""
        self.data, self.metadata = data, metadata
        self.n_updates += 1

    @property
    def is_widget(self) -> bool:
        """Whether it is a view of a widget."""
        return "application/vnd.jupyter.widget-view+json" in self.data

    @property
    def html(self) -> str:
        """What an untrusted notebook shows."""
        return self.data["text/html"]

    @property
    def plain(self) -> str:
        """What a terminal shows."""
        return self.data["text/plain"]
