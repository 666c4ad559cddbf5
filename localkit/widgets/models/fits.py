"""What a model would take at several context lengths: estimates, from its header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.config import settings
from localkit.errors import EngineMissing
from localkit.gguf.estimate import estimate_memory
from localkit.runtime import hardware
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo

SHORTEST: Final = 2048
_MOST: Final = 8
_UNKNOWN_TRAINING: Final = 32_768
"""Where bars end for a file that does not say its training context."""
_GPU_HEADROOM: Final = 0.9
"""As `localkit.runtime.memory.fit` leaves it to the display and other programs."""


class Budget(NamedTuple):
    """Memory that a load may take now."""

    available: int
    """Bytes."""
    on_gpu: bool


class Fit(NamedTuple):
    """The estimate for one context length."""

    n_ctx: int
    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        """Bytes of all three kinds."""
        return self.weights + self.kv + self.compute


def context_lengths(n_ctx_train: int) -> list[int]:
    """Return 2k, 4k, 8k, … up to the training context, which is the last one."""
    longest = n_ctx_train or _UNKNOWN_TRAINING
    lengths = [SHORTEST << power for power in range(20) if SHORTEST << power < longest]
    return [*lengths[: _MOST - 1], longest]


def fits(info: ModelInfo) -> tuple[Fit, ...]:
    """Return what a load with default params would take at each context length."""
    from localkit.runtime.engine.context import output_rows

    params = LoadParams()
    found = []
    for n_ctx in context_lengths(info.n_ctx_train):
        estimate = estimate_memory(
            info,
            n_ctx=n_ctx,
            n_ubatch=min(params.n_ubatch, params.n_batch),
            n_seq_max=params.n_seq_max,
            n_outputs=output_rows(info.n_vocab, params),
            kv_type=params.kv_type,
        )
        found.append(Fit(n_ctx, estimate.weights, estimate.kv, estimate.compute))
    return tuple(found)


def budget() -> Budget:
    """Return what a load may take now: of the GPUs where there are any, else of RAM."""
    limit = settings().memory
    try:
        gpus = [device for device in hardware.devices() if device.is_gpu]
    except EngineMissing:
        gpus = []
    on_gpu = bool(gpus) and settings().n_gpu_layers != 0
    if on_gpu:
        available = int(sum(gpu.free for gpu in gpus) * _GPU_HEADROOM)
    else:
        available = hardware.available_memory()
    return Budget(available if limit is None else min(available, limit), on_gpu)
