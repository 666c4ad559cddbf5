"""What a front end may ask of a token view."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from localkit.widgets.panel import Action


class WhatIf(Action):
    """Put another token at a position and go on from there."""

    do: Literal["what_if"]
    at: int = Field(ge=0, le=1 << 20)
    token: int = Field(ge=0, le=1 << 31)
    model: int = Field(default=0, ge=0, le=1)
    """0: the model that was asked; 1: the other one."""


class Stop(Action):
    """End the branch that grows."""

    do: Literal["stop"]


class Forget(Action):
    """Drop a branch."""

    do: Literal["forget"]
    branch: str = Field(max_length=40)


class Freeze(Action):
    """Leave the static record."""

    do: Literal["freeze"]


AnyAction = Annotated[WhatIf | Stop | Forget | Freeze, Field(discriminator="do")]
