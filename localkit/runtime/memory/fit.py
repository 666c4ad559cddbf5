"""Will it fit: the context length and the offload of a load, before it allocates.

Arithmetic over the header first. Where that comes within 15 % of what is
available, an exact dry run in a child decides (CPU only: on a GPU a tenth is
left free for what arithmetic does not see). What was really allocated stands
in the session's `MemoryUse`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from localkit.config import settings
from localkit.errors import DoesNotFit
from localkit.gguf import read_info
from localkit.gguf.estimate import context_that_fits, estimate_memory
from localkit.gguf.projector import check_projector
from localkit.runtime import hardware
from localkit.runtime.memory.context_length import Wish, exactly, round_down, wish
from localkit.runtime.memory.dry_run import planned_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.params import LoadParams

_CLOSE: Final = 0.15
"""Share of the available memory within which arithmetic is not trusted. Its largest
error on SmolLM2 was 2 %; recurrent and encoder models are estimated too high."""
_GPU_HEADROOM: Final = 0.9
"""Left free on a GPU for the display, other programs and fragmentation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model would be loaded now."""

    n_ctx: int
    n_gpu_layers: int
    needed: int
    """Bytes, an estimate: of GPU memory where all layers go there."""
    available: int
    """Bytes where they are needed."""
    reduced: bool = False
    """Whether more memory would give a longer context, or more layers on the GPU."""
    refusal: DoesNotFit | None = None

    def check(self) -> None:
        """Raise the refusal, if there is one.

        Raises:
            DoesNotFit: says what would fit.
        """
        if self.refusal is not None:
            raise self.refusal


def plan_load(
    info: ModelInfo,
    params: LoadParams,
    *,
    wished: Wish | None = None,
    budget: int | None = None,
    freed: int = 0,
) -> Plan:
    """Return how ``info`` would be loaded with ``params`` now.

    Args:
        info: What the file says.
        params: How to load it; ``n_ctx`` is read where ``wished`` is None.
        wished: Context lengths to try.
        budget: Most bytes it may take; default: the settings' for all models.
        freed: Bytes that would be free as well, once others were unloaded.

    Raises:
        LoadFailed: the KV type is unknown, or a dry run was needed and llama.cpp
            refuses the model.
        WorkerDied: a dry run was needed, and the file crashed it.
    """
    from localkit.runtime.engine.context import check_kv_type

    check_kv_type(params.kv_type)
    config = settings()
    if wished is None:
        choose = wish if params.n_ctx is None else exactly
        wished = choose(
            params.n_ctx, n_ctx_train=info.n_ctx_train, default=config.context_length
        )
    if budget is None:
        budget = config.memory
    asked = params.n_gpu_layers
    if asked is None:
        asked = config.n_gpu_layers
    gpus = [device for device in hardware.devices() if device.is_gpu]
    load = _Load(info, params, wished, budget, freed)
    return load.on_cpu() if not gpus or asked == 0 else load.on_gpu(gpus, asked)


@dataclass(frozen=True, slots=True)
class _Load:
    info: ModelInfo
    params: LoadParams
    wished: Wish
    budget: int | None
    freed: int

    def on_cpu(self) -> Plan:
        available = self._limited(hardware.available_memory())
        wanted, least, serves = self.wished
        needed = self._needed(wanted, available)
        if needed <= available:
            return Plan(wanted, 0, needed, available)
        # What arithmetic misses grows with the size: hold it to the exact figure.
        trusted = int(available * self._estimate(wanted) / needed)
        longest = self._longest(trusted)
        if least < wanted and longest >= least:
            n_ctx = max(least, round_down(min(longest, wanted)))
            shorter = self._needed(n_ctx, available)
            if shorter <= available:
                return Plan(n_ctx, 0, shorter, available, reduced=True)
        refusal = DoesNotFit(
            self._estimate(serves) if serves < wanted else needed,
            available,
            n_ctx_that_fits=longest,
        )
        return Plan(wanted, 0, needed, available, refusal=refusal)

    def on_gpu(self, gpus: Sequence[hardware.Device], asked: int | None) -> Plan:
        n_ctx, n_all = self.wished.wanted, self.info.n_layers + 1
        free = self._limited(int(sum(gpu.free for gpu in gpus) * _GPU_HEADROOM))
        whole = estimate_memory(self.info, n_ctx=n_ctx, **self._sizes())
        per_layer = (whole.weights + whole.kv) / n_all
        # All layers and the output head count as n_layers + 1, as in llama.cpp.
        fitting = max(0, min(n_all, int((free - whole.compute) / per_layer)))
        layers = fitting if asked is None else n_all
        if asked is not None and asked >= 0:
            layers = min(asked, n_all)
        on_gpu = whole.compute + int(per_layer * layers)
        on_host = whole.total - on_gpu
        host = hardware.available_memory() + self.freed
        if layers <= fitting and on_host <= host:
            reduced = asked is None and layers < n_all
            return Plan(n_ctx, layers, on_gpu, free, reduced=reduced)
        over_host = layers <= fitting
        refusal = DoesNotFit(
            whole.total if over_host else on_gpu,
            free + host if over_host else free,
            n_ctx_that_fits=self._longest(free + (host if over_host else on_host)),
            offload_that_fits=fitting,
        )
        return Plan(n_ctx, layers, on_gpu, free, refusal=refusal)

    def _limited(self, free: int) -> int:
        limit = free if self.budget is None else min(free, self.budget)
        return limit + self.freed

    def _estimate(self, n_ctx: int) -> int:
        own = estimate_memory(self.info, n_ctx=n_ctx, **self._sizes()).total
        return own + self._draft(n_ctx) + self._projector()

    def _projector(self) -> int:
        """Return the bytes of what lets the model see, without what it computes."""
        if self.params.projector is None:
            return 0
        header = check_projector(self.params.projector)
        return sum(tensor.n_bytes for tensor in header.tensors)

    def _draft(self, n_ctx: int) -> int:
        """Return what the model that drafts takes beside this one."""
        if self.params.draft is None:
            return 0
        drafts = _Load(
            read_info(self.params.draft),
            replace(self.params, draft=None, projector=None),
            self.wished,
            self.budget,
            self.freed,
        )
        return drafts._estimate(n_ctx)

    def _needed(self, n_ctx: int, available: int) -> int:
        """Return the bytes for ``n_ctx`` tokens, exact where it is a close call."""
        estimate = self._estimate(n_ctx)
        if abs(estimate - available) > _CLOSE * available:
            return estimate
        own = planned_memory(self.info, self.params, n_ctx=n_ctx).total
        return own + self._draft(n_ctx) + self._projector()

    def _longest(self, available: int) -> int:
        return context_that_fits(self.info, available, **self._sizes())

    def _sizes(self) -> dict[str, Any]:
        from localkit.runtime.engine.context import output_rows

        params = self.params
        return {
            "n_ubatch": min(params.n_ubatch, params.n_batch),
            "n_seq_max": params.n_seq_max,
            "n_outputs": output_rows(self.info.n_vocab, params),
            "kv_type": params.kv_type,
            "flash_attn": params.flash_attn is not False,
        }
