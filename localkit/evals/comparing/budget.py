"""The memory that a candidate has to fit in: asked for, or what is free now."""

from __future__ import annotations

from dataclasses import dataclass

from localkit.evals.report import figures


@dataclass(frozen=True, slots=True)
class Budget:
    """Memory at a context length."""

    n_bytes: int
    n_ctx: int
    kv_type: str = "f16"
    asked: bool = True
    """False: nobody named one, so it is the memory that was available."""
    on_gpu: bool = False
    """Whether it is GPU memory."""

    def __str__(self) -> str:
        """Say how much, of what, and where the number comes from."""
        kind = "GPU memory" if self.on_gpu else "memory"
        amount = figures.size(self.n_bytes)
        if self.asked:
            return f"the {amount} of {kind} asked for"
        return f"the {amount} of {kind} available on this machine"
