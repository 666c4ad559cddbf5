"""Axes: what is varied beside the weights, and the grid of all points on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from localkit.errors import UsageError
from localkit.evals.comparing.variant import PLAIN, Variant
from localkit.evals.tasks.kinds import GREEDY
from localkit.runtime.params import SamplingParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    Named = Mapping[str, Any] | Sequence[Any] | Any
    """Points on an axis: by name, several, or one."""

MAX_VARIANTS = 64
KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
"""Types that llama.cpp can keep keys and values in."""


@dataclass(frozen=True, slots=True)
class Axes:
    """What `compare` was asked to vary; None: nothing.

    Each takes one point, several, or a mapping from name to point. The first one
    of each is the reference's.
    """

    kv_type: Named | None = None
    n_ctx: Named | None = None
    flash_attn: Named | None = None
    n_gpu_layers: Named | None = None
    template: Named | None = None
    prompt: Named | None = None
    system: Named | None = None
    params: Named | None = None

    def variants(self) -> tuple[Variant, ...]:
        """Return every combination of the points, those of the reference first.

        Raises:
            UsageError: a point is none of its axis, or there are too many.
        """
        grid = [
            [(field.name, name, point) for name, point in points]
            for field in fields(self)
            if (points := _points(field.name, getattr(self, field.name)))
        ]
        found = [_variant(choice, grid) for choice in itertools.product(*grid)]
        if len(found) > MAX_VARIANTS:
            msg = f"the axes span {len(found)} variants of each quant"
            raise UsageError(msg, hint=f"take at most {MAX_VARIANTS}")
        return tuple(found)


NO_AXES = Axes()


def _variant(
    choice: tuple[tuple[str, str, Any], ...], grid: Sequence[Sequence[object]]
) -> Variant:
    variant = replace(PLAIN, **{axis: point for axis, _, point in choice})
    # An axis with one point does not tell candidates apart: no part of the label.
    names = tuple(
        (axis, name)
        for (axis, name, _), points in zip(choice, grid, strict=True)
        if len(points) > 1
    )
    return replace(variant, names=names)


def _points(axis: str, given: Named | None) -> list[tuple[str, Any]]:
    """Return (name, point) for what was given for one axis."""
    if given is None:
        return []
    if axis == "params" and isinstance(given, Mapping) and not _are_named(given):
        given = [given]
    if isinstance(given, Mapping):
        named = [(str(name), _checked(axis, point)) for name, point in given.items()]
    else:
        several = isinstance(given, Iterable) and not isinstance(given, str)
        points = [_checked(axis, point) for point in (given if several else [given])]
        named = [
            (_name(axis, point, number), point) for number, point in enumerate(points)
        ]
    if not named:
        msg = f"no {axis} is given to compare"
        raise UsageError(msg, hint="give one point or more, or leave the axis out")
    if len({name for name, _ in named}) < len(named):
        msg = f"{axis} has one point twice"
        raise UsageError(msg, hint="give each once, or name them in a mapping")
    return named


def _checked(axis: str, point: Any) -> Any:
    """Return the point as `Variant` takes it."""
    match axis:
        case "kv_type":
            if point not in KV_TYPES:
                msg = f"'{point}' is no type of a KV cache"
                raise UsageError(msg, hint=f"take one of {', '.join(KV_TYPES)}")
        case "n_ctx":
            if not isinstance(point, int) or isinstance(point, bool) or point < 32:
                msg = f"a context of {point!r} tokens makes no sense"
                raise UsageError(msg, hint="give a number of tokens from 32 on")
        case "flash_attn":
            if point is not None and not isinstance(point, bool):
                msg = f"flash_attn is {point!r}"
                raise UsageError(msg, hint="give True, False, or None for either")
        case "n_gpu_layers":
            if not isinstance(point, int) or isinstance(point, bool) or point < -1:
                msg = f"n_gpu_layers is {point!r}"
                raise UsageError(msg, hint="give a number of layers, -1 for all")
        case "params":
            return _params(point)
        case _:
            if point is not None and not isinstance(point, str):
                msg = f"{axis} is a {type(point).__name__}, not a text"
                raise UsageError(
                    msg, hint=f"give texts, or names with texts, as {axis}"
                )
    return point


def _params(point: Any) -> SamplingParams:
    if isinstance(point, SamplingParams):
        return point
    known = [field.name for field in fields(SamplingParams)]
    if isinstance(point, Mapping):
        unknown = [name for name in point if name not in known]
        if not unknown:
            return replace(GREEDY, **point)
        msg = f"'{unknown[0]}' is no sampling param"
    else:
        msg = f"{point!r} are no sampling params"
    raise UsageError(msg, hint=f"give a mapping of some of {', '.join(known)}")


def _are_named(given: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds several sets of params by name, and is not one set."""
    return all(isinstance(value, Mapping | SamplingParams) for value in given.values())


def _name(axis: str, point: Any, number: int) -> str:
    """Return what a point is called that the caller gave no name."""
    match axis:
        case "kv_type":
            return f"{point} KV"
        case "n_ctx":
            return f"ctx {point}"
        case "flash_attn":
            return {True: "flash", False: "no flash", None: "auto flash"}[point]
        case "n_gpu_layers":
            return "all layers on GPU" if point == -1 else f"{point} GPU layers"
        case "params":
            changed = [
                f"{field.name} {getattr(point, field.name)}"
                for field in fields(SamplingParams)
                if getattr(point, field.name) != getattr(GREEDY, field.name)
            ]
            return " ".join(changed) or "greedy"
        case _:
            return f"{axis} {number + 1}"
