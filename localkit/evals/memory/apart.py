"""How a candidate is loaded in a process of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from localkit.evals.running.bench import loaded_as
from localkit.evals.running.spec import MemorySpec
from localkit.evals.speed.spec import LoadTimeSpec
from localkit.runtime.pacing import threads
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from localkit.config import Settings
    from localkit.evals.comparing.variant import Variant

S = TypeVar("S", MemorySpec, LoadTimeSpec)


def spec_as(spec: S, variant: Variant) -> S:
    """Return ``spec`` with what ``variant`` says about loading put over it."""
    asked = LoadParams(
        kv_type=spec.kv_type,
        flash_attn=spec.flash_attn,
        n_gpu_layers=spec.n_gpu_layers,
    )
    loaded = loaded_as(asked, variant)
    return replace(
        spec,
        n_ctx=variant.n_ctx or spec.n_ctx,
        kv_type=loaded.kv_type,
        flash_attn=loaded.flash_attn,
        n_gpu_layers=loaded.n_gpu_layers,
    )


def params_of(spec: MemorySpec | LoadTimeSpec, settings: Settings) -> LoadParams:
    """Return how to load for ``spec``; threads are named, so that none is measured."""
    layers = spec.n_gpu_layers
    return LoadParams(
        n_ctx=spec.n_ctx,
        kv_type=spec.kv_type,
        flash_attn=spec.flash_attn,
        n_threads=settings.n_threads or threads.usable_cores(),
        n_gpu_layers=settings.n_gpu_layers if layers is None else layers,
    )
