"""What inspect_ai finds through its entry point: names, nothing loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspect_ai.model import modelapi

from localkit.evals.harnesses.inspect.choosing import loglikelihood

if TYPE_CHECKING:
    from inspect_ai.model import ModelAPI

__all__ = ["localkit", "localkit_raw", "loglikelihood"]


@modelapi(name="localkit")
def localkit() -> type[ModelAPI]:
    """Return the provider that answers through the model's chat template."""
    from localkit.evals.harnesses.inspect.provider import LocalkitAPI

    return LocalkitAPI


@modelapi(name="localkit-raw")
def localkit_raw() -> type[ModelAPI]:
    """Return the provider that continues raw text."""
    from localkit.evals.harnesses.inspect.provider import LocalkitRawAPI

    return LocalkitRawAPI
