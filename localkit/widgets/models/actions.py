"""What the view of the models asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from localkit.widgets.panel import Action

Ref = Annotated[str, Field(min_length=1, max_length=500)]


class Watch(Action):
    """A view opened or went."""

    do: Literal["open", "leave"]
    view: Annotated[str, Field(max_length=40)]


class OfSource(Action):
    """Weigh the quants of a source, or pull one."""

    do: Literal["weigh", "pull"]
    source: Ref


class Quantize(Action):
    """Make a smaller copy."""

    do: Literal["quantize"]
    ref: Ref
    quant: Annotated[str, Field(min_length=1, max_length=20)]
    requantize: bool = False


class Load(Action):
    """Load a model."""

    do: Literal["load"]
    ref: Ref
    n_ctx: Annotated[int, Field(ge=1, le=1 << 24)] | None = None
    keep_alive: Annotated[str, Field(max_length=20)] | None = None


class OfModel(Action):
    """Do something to a model that needs nothing else to be said."""

    do: Literal["unload", "pin", "unpin", "remove", "licence"]
    ref: Ref


class Plain(Action):
    """Do something that needs nothing else to be said."""

    do: Literal["refresh", "freeze", "forget", "stop"]
    """``forget`` closes what was weighed and the licence."""


ModelsAction = Watch | OfSource | Quantize | Load | OfModel | Plain
