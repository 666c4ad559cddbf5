"""Put offers on the scales: what would a load of each take, here and now.

The answer is that of `plan_load`, which every real load asks, on the CPU as on a
GPU. Where its arithmetic is too close to the memory that is free, it plans the load
exactly, for which the offer's own header is read; so what is said here before a
download is what a load says after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localkit.choosing.weighing import Verdict, Weighed, Weighing
from localkit.config import settings
from localkit.errors import DoesNotFit, GGUFError, LoadFailed, Unsupported, WorkerDied
from localkit.gguf.estimate import context_that_fits, estimate_memory
from localkit.gguf.projector import check_projector
from localkit.runtime import hardware
from localkit.runtime.engine.context import output_rows
from localkit.runtime.memory.context_length import Wish, round_down, wish
from localkit.runtime.memory.fit import Plan, plan_load
from localkit.runtime.params import LoadParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.choosing.offer import Offer
    from localkit.gguf.info import ModelInfo


def weigh(
    what: str,
    offers: Sequence[Offer],
    *,
    n_ctx: int | None = None,
    notes: tuple[str, ...] = (),
) -> Weighing:
    """Return what each offer would take, the largest first; nothing is chosen.

    Args:
        what: What they are offers of, for the record.
        offers: At least their labels and sizes.
        n_ctx: Context length in tokens; None: the default of a load.
        notes: What was left out, and why.

    Raises:
        EngineMissing: llama-cpp-python is not installed or does not load.
    """
    ordered = sorted(offers, key=lambda offer: (-offer.size, offer.label))
    rows = tuple(_weighed(offer, n_ctx) for offer in ordered)
    return Weighing(what, rows, n_ctx, notes=notes)


def _weighed(offer: Offer, n_ctx: int | None) -> Weighed:
    if offer.info is None:
        return _unknown(offer, offer.trouble)
    params = LoadParams(n_ctx=n_ctx, projector=offer.projector)
    wished = wish(
        n_ctx,
        n_ctx_train=offer.info.n_ctx_train,
        default=settings().context_length,
    )
    info = offer.info
    try:
        try:
            plan = plan_load(info, params, wished=wished)
        except FileNotFoundError:
            # A close call: the load is planned exactly, from the offer's own header.
            if offer.read is None:
                plan = _by_arithmetic(info, params, wished)
            else:
                info = offer.read()
                plan = plan_load(info, params, wished=wished)
    except (GGUFError, LoadFailed, Unsupported, WorkerDied) as error:
        return _unknown(offer, str(error))
    verdict, why = _verdict(info, plan, wished)
    return Weighed(
        label=offer.label,
        size=offer.size,
        bits=offer.bits,
        bits_per_weight=info.bits_per_weight,
        needed=plan.needed,
        available=plan.available,
        verdict=verdict,
        n_ctx=None if plan.refusal else plan.n_ctx,
        n_ctx_that_fits=_longest(info, params, plan),
        why=why,
    )


def _verdict(info: ModelInfo, plan: Plan, wished: Wish) -> tuple[Verdict, str]:
    if plan.refusal is not None:
        needed, free = plan.refusal.needed, plan.refusal.available
        return "no", f"needs {_mib(needed)} of {_mib(free)}"
    if plan.n_ctx < wished.serves:
        return "tight", f"only with {plan.n_ctx} tokens of context"
    if plan.reduced and plan.n_ctx >= wished.wanted:
        whole = info.n_layers + 1
        return "tight", f"only with {plan.n_gpu_layers} of {whole} layers on the GPU"
    return "fits", f"fits with {plan.n_ctx} tokens of context"


def _by_arithmetic(info: ModelInfo, params: LoadParams, wished: Wish) -> Plan:
    """Plan a load on the CPU without llama.cpp: for parts that are no model yet.

    The largest error of arithmetic on SmolLM2 was 2 %; so much is kept free.
    """
    available = hardware.available_memory()
    if (budget := settings().memory) is not None:
        available = min(available, budget)
    trusted = available - available // 50
    bare = Plan(wished.wanted, 0, 0, trusted)
    longest = _context(info, params, trusted)
    n_ctx = min(wished.wanted, round_down(longest))
    needed = _estimate(info, params, wished.wanted)
    if needed <= trusted:
        return replace(bare, needed=needed)
    if n_ctx >= wished.least:
        shorter = _estimate(info, params, n_ctx)
        return replace(bare, n_ctx=n_ctx, needed=shorter, reduced=True)
    refusal = DoesNotFit(needed, available, n_ctx_that_fits=longest)
    return replace(bare, needed=needed, refusal=refusal)


def _longest(info: ModelInfo, params: LoadParams, plan: Plan) -> int:
    """Return the longest context that what is available holds."""
    if plan.refusal is not None:
        return plan.refusal.n_ctx_that_fits
    return max(_context(info, params, plan.available), plan.n_ctx)


def _context(info: ModelInfo, params: LoadParams, available: int) -> int:
    left = available - _projector(params)
    return context_that_fits(info, left, **_sizes(info, params))


def _estimate(info: ModelInfo, params: LoadParams, n_ctx: int) -> int:
    own = estimate_memory(info, n_ctx=n_ctx, **_sizes(info, params)).total
    return own + _projector(params)


def _sizes(info: ModelInfo, params: LoadParams) -> dict[str, Any]:
    return {
        "n_ubatch": min(params.n_ubatch, params.n_batch),
        "n_seq_max": params.n_seq_max,
        "n_outputs": output_rows(info.n_vocab, params),
        "kv_type": params.kv_type,
    }


def _projector(params: LoadParams) -> int:
    if params.projector is None:
        return 0
    header = check_projector(params.projector)
    return sum(tensor.n_bytes for tensor in header.tensors)


def _unknown(offer: Offer, why: str) -> Weighed:
    return Weighed(
        label=offer.label,
        size=offer.size,
        bits=offer.bits,
        bits_per_weight=offer.bits_per_weight,
        needed=None,
        available=None,
        verdict="unknown",
        n_ctx=None,
        n_ctx_that_fits=None,
        why=why or "its header cannot be read",
    )


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.0f} MiB"
