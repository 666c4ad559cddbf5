"""What a command says about a model that came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.report.figures import size

if TYPE_CHECKING:
    from localkit.store import AddReceipt
    from localkit.store.create import CreateReceipt

METHODS = {
    "hardlink": "hard link, no bytes copied",
    "reflink": "reflink, no bytes copied",
    "copy": "copied",
    "moved": "new file",
    "present": "was there already",
}
"""How the bytes came, in words."""


def receipt_line(receipt: AddReceipt | CreateReceipt) -> str:
    """Say what came in, how much it is, and whether it was copied."""
    info = receipt.model.info
    return (
        f"{receipt.model.ref}: {info.label}, {info.bits_per_weight:.2f} bits per "
        f"weight, {size(receipt.size)} ({METHODS[receipt.method]})"
    )
