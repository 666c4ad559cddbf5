"""Variant: how a candidate is loaded and asked, beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localkit.runtime.params import SamplingParams


@dataclass(frozen=True, slots=True)
class Variant:
    """A point on the axes of a comparison; None: as everywhere else."""

    kv_type: str = "f16"
    """Type of the K and V cache."""
    n_ctx: int | None = None
    """Context length that memory is measured at."""
    flash_attn: bool | None = None
    """None: llama.cpp decides for the device."""
    n_gpu_layers: int | None = None
    template: str | None = None
    """Chat template, as Jinja; None: the model's."""
    prompt: str | None = None
    """Prompt form in place of the task's, fields of a row in braces."""
    system: str | None = None
    """Instructions in place of the task's."""
    params: SamplingParams | None = None
    """How written answers are sampled, in place of the task's."""
    names: tuple[tuple[str, str], ...] = ()
    """Axis and name of the point on it, for the label: ``(("kv_type", "q8_0"),)``."""

    @property
    def label(self) -> str:
        """What stands behind the quant in a label: ``q8_0 KV, ctx 8192``."""
        return ", ".join(name for _, name in self.names)

    @property
    def same_loss(self) -> tuple[object, ...]:
        """Equal where perplexity and KL divergence are the same measurement."""
        return self.kv_type, self.flash_attn

    def changes(self) -> dict[str, object]:
        """Return the fields that differ from the default, without the names."""
        default = Variant()
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "names"
            and getattr(self, field.name) != getattr(default, field.name)
        }


PLAIN = Variant()
