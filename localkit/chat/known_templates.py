"""Digests of chat templates that need no proof."""

from __future__ import annotations

KNOWN_TEMPLATES = frozenset(
    {
        # SmolLM2 Instruct, the demo model
        "sha256:872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
    }
)
"""SHA-256 of the source; each was read and rendered within the budget."""
