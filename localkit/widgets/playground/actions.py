"""What a front end may ask of a playground; everything bounded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from localkit.widgets.panel import Action
from localkit.widgets.playground.draft import MAX_CHARS, MAX_COLUMNS

Text = Annotated[str, Field(max_length=MAX_CHARS)]
Line = Annotated[str, Field(max_length=2000)]
Id = Annotated[str, Field(pattern=r"^[a-z][0-9]{1,9}$")]
Body = Annotated[dict[str, Any], Field(max_length=16)]
Label = Annotated[str, Field(min_length=1, max_length=80)]


class Write(Action):
    """The texts of the draft are these now: prompt, system, variables, examples."""

    do: Literal["write"]
    draft: Body


class Run(Action):
    """Ask every column."""

    do: Literal["run"]
    draft: Body


class Stop(Action):
    """End the answer at hand, forget those that wait."""

    do: Literal["stop"]


class Add(Action):
    """Add a column."""

    do: Literal["add"]
    ref: Annotated[str, Field(min_length=1, max_length=400)]


class Remove(Action):
    """Take a column away."""

    do: Literal["remove"]
    column: Id


class Set(Action):
    """The setup of a column is this now."""

    do: Literal["set"]
    column: Id
    setup: Body


class Continue(Action):
    """Say something in one column, or in all."""

    do: Literal["continue"]
    column: Id | None
    text: Text


class Edit(Action):
    """Say something else in place of an earlier turn."""

    do: Literal["edit"]
    turn: Id
    text: Text


class Regenerate(Action):
    """Ask the same again."""

    do: Literal["regenerate"]
    turn: Id


class Pick(Action):
    """Go on with another sibling of a turn."""

    do: Literal["pick"]
    turn: Id
    by: Literal[-1, 1]


class Rate(Action):
    """Like an answer, dislike it, or take that back."""

    do: Literal["rate"]
    turn: Id
    score: Literal[-1, 0, 1]
    comment: Line


class Blind(Action):
    """Keep names back until there is a vote, or no longer."""

    do: Literal["blind"]
    on: bool


class Vote(Action):
    """Say which answer is best."""

    do: Literal["vote"]
    verdict: Annotated[int, Field(ge=0, lt=MAX_COLUMNS)] | Literal["tie", "neither"]


class Open(Action):
    """Take up a version again."""

    do: Literal["open"]
    version: Annotated[int, Field(ge=1, lt=2**62)]


class Differ(Action):
    """Show how a version's prompt differs from the present one; 0: show no more."""

    do: Literal["differ"]
    version: Annotated[int, Field(ge=0, lt=2**62)]


class Preset(Action):
    """Save, load or delete settings under a name."""

    do: Literal["preset"]
    what: Literal["save", "load", "delete"]
    name: Label


class Cell(Action):
    """Show a column as a cell; None: all of them, "": show no more."""

    do: Literal["cell"]
    column: Id | Literal[""] | None


class SaveTask(Action):
    """Write the liked answers as a task into the notebook's folder."""

    do: Literal["task"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")]
    scorer: Annotated[str, Field(max_length=40)]
    model: Annotated[str, Field(max_length=400)]


PlaygroundAction = Annotated[
    Write
    | Run
    | Stop
    | Add
    | Remove
    | Set
    | Continue
    | Edit
    | Regenerate
    | Pick
    | Rate
    | Blind
    | Vote
    | Open
    | Differ
    | Preset
    | Cell
    | SaveTask,
    Field(discriminator="do"),
]
