"""What the view of a comparison asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from localkit.widgets.panel import Action

Show = Literal["all", "wrong", "lost", "gained", "flips", "differ", "unscored"]
"""Which samples: all; wrong in a candidate; right in the reference and wrong in it;
the reverse; either; where it says something else; where it has no score."""

_Name = Annotated[str, Field(max_length=500)]
_Index = Annotated[int, Field(ge=0, le=100_000_000)]


class ChooseTable(Action):
    """Show another table of figures."""

    do: Literal["table"]
    index: Annotated[int, Field(ge=0, le=1000)]


class Look(Action):
    """Show a page of samples."""

    do: Literal["look"]
    task: _Name
    show: Show
    label: _Name
    """The candidate that ``show`` is about."""
    text: Annotated[str, Field(max_length=300)] = ""
    """What the question, or an answer, has to hold."""
    page: _Index = 0


class Open(Action):
    """Show one sample with two answers."""

    do: Literal["open"]
    index: _Index
    """Of the sample in its task."""


class Shut(Action):
    """Show no sample."""

    do: Literal["shut"]


class Send(Action):
    """Send what is large and not always looked at."""

    do: Literal["send"]
    what: Literal["plots", "passages"]


class Freeze(Action):
    """Leave the static report alone."""

    do: Literal["freeze"]


AnyAction = Annotated[
    ChooseTable | Look | Open | Shut | Send | Freeze, Field(discriminator="do")
]
