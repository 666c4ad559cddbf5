"""What lies in front of the user: the draft, the columns, the run at hand."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from localkit.errors import LocalkitError, UsageError
from localkit.widgets.playground.draft import (
    MAX_COLUMNS,
    Draft,
    Setup,
    as_draft,
    as_setup,
)
from localkit.widgets.playground.round import Round
from localkit.widgets.playground.turns import Answer, Column, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from localkit.chat.messages import Message
    from localkit.kit import Kit

_MAX_SEED = 2**32 - 2


class Desk:
    """Draft, columns and rounds of one playground; knows no history, asks nobody."""

    def __init__(self, kit: Kit, name: str, *, blind: bool) -> None:
        """Begin with an empty draft and no column."""
        self._kit = kit
        self.name = name
        self.blind = blind
        """Whether the next run keeps names back."""
        self.draft = Draft()
        self.revision = 0
        """Counts up when the draft was changed elsewhere than in a view."""
        self.columns: list[Column] = []
        self.round: Round | None = None
        self.models: list[tuple[str, str]] = []
        """Refs of the store with their quants."""
        self._n_ids = 0
        self._shuffled: dict[str, int] = {}
        self._ending = threading.Lock()
        self.look_up()

    def look_up(self) -> None:
        """Read again which models there are."""
        self.models = [
            (str(one.ref), one.quant)
            for one in self._kit.store.list()
            if not one.damaged
        ]

    @property
    def hides(self) -> bool:
        """Whether names are kept back at present."""
        return self.round is not None and self.round.hides

    @property
    def shown(self) -> list[Column]:
        """The columns as they are shown: as the last run shuffled them, if it did."""
        return sorted(self.columns, key=self._place)

    def _place(self, column: Column) -> int:
        return self._shuffled.get(column.id, len(self._shuffled))

    def hides_text(self, turn: Turn) -> bool:
        """Whether the text of a turn is kept back: its pace would tell who writes."""
        run = self.round
        return (
            run is not None and run.hides and any(one is turn for _, one in run.turns)
        )

    def write(self, changes: Mapping[str, Any], *, elsewhere: bool = True) -> None:
        """Change texts of the draft.

        Raises:
            UsageError: one makes no sense.
        """
        if "columns" in changes:
            msg = "columns are no text"
            raise UsageError(msg, hint="add, change or remove a column")
        values = {**self.draft.model_dump(), **changes}
        self.draft = as_draft(values)
        self.revision += elsewhere

    def whole(self) -> Draft:
        """Return the draft with the columns."""
        setups = [column.setup for column in self.columns]
        return self.draft.model_copy(update={"columns": setups})

    def lay_out(self, draft: Draft) -> None:
        """Put another draft and its columns in place of what is here."""
        self.must_be_revealed()
        self.draft = draft.model_copy(update={"columns": []})
        self.revision += 1
        self.round = None
        self.columns = [
            Column(self._id("c"), setup, self._quant(setup.ref))
            for setup in draft.columns
        ]

    def add(self, setup: Setup) -> Column:
        """Add a column.

        Raises:
            ModelNotFound: the store has no such model; names the nearest.
            UsageError: there are as many as there may be.
        """
        self.must_be_revealed()
        if len(self.columns) >= MAX_COLUMNS:
            msg = f"there are {MAX_COLUMNS} columns already"
            raise UsageError(msg, hint="take one away first")
        stored = self._kit.resolve(setup.ref)
        setup = setup.model_copy(update={"ref": str(stored.ref)})
        column = Column(self._id("c"), setup, stored.info.quant)
        self.columns.append(column)
        self.look_up()
        return column

    def remove(self, column: Column) -> None:
        """Take a column away, with what was said in it."""
        self.must_be_revealed()
        self.columns.remove(column)
        if self.round is not None and not self.round.has_ended:
            return
        self.round = None

    def set_up(self, column: Column, values: Mapping[str, Any]) -> None:
        """Ask a column in another way from now on.

        Raises:
            UsageError: a value makes no sense.
            ModelNotFound: the store has no such model.
        """
        self.must_be_revealed()
        setup = as_setup(values)
        if setup.ref != column.setup.ref:
            stored = self._kit.resolve(setup.ref)
            setup = setup.model_copy(update={"ref": str(stored.ref)})
            column.quant = stored.info.quant
        column.setup = setup

    def ask_all(self) -> list[Turn]:
        """Begin a run: the prompt of the draft to every column.

        Raises:
            UsageError: there is no column, no prompt, or a variable without a value.
        """
        if not self.columns:
            msg = "there is no column to ask"
            raise UsageError(msg, hint="add a model first")
        opening, said = self.draft.opening(), self.draft.question()
        columns = list(self.columns)
        self._shuffled = {}
        if self.blind:
            random.SystemRandom().shuffle(columns)
            self._shuffled = {one.id: place for place, one in enumerate(columns)}
        turns = [(one, self._turn(one, said, opening=opening)) for one in columns]
        return self._begin(turns, blind=self.blind)

    def go_on(self, columns: Sequence[Column], text: str) -> list[Turn]:
        """Say something after the last answer of each of ``columns``.

        Raises:
            UsageError: there is no answer yet, or nothing is said.
        """
        said = self._said(text)
        if len(columns) < len(self.columns):
            self.must_be_revealed()
        turns = []
        for column in columns:
            last = column.branches.last
            if last is None or not last.answer.has_ended:
                msg = "there is no answer yet to go on from"
                raise UsageError(msg, hint="run the prompt, and wait for its end")
            turns.append((column, self._turn(column, said, parent=last)))
        return self._begin(turns, blind=self.hides)

    def edit(self, turn: Turn, text: str) -> list[Turn]:
        """Say something else in place of what was said: a branch.

        Raises:
            UsageError: nothing is said.
        """
        self.must_be_revealed()
        column = self.column_of(turn)
        other = self._turn(
            column, self._said(text), parent=turn.parent, opening=turn.opening
        )
        return self._begin([(column, other)], blind=self.hides)

    def again(self, turn: Turn) -> list[Turn]:
        """Ask the same with another seed; the older answer stays beside it."""
        column = self.column_of(turn)
        siblings = column.branches.siblings(turn)
        first = next((one.answer.result for one in siblings if one.answer.result), None)
        seed = column.setup.seed
        if seed is None and first is not None:
            seed = first.receipt.params.seed
        setup = column.setup
        if seed is not None:
            seed = (seed + len(siblings)) % (_MAX_SEED + 1)
            setup = setup.model_copy(update={"seed": seed})
        other = self._turn(
            column, turn.said, parent=turn.parent, opening=turn.opening, setup=setup
        )
        return self._begin([(column, other)], blind=self.hides)

    def reveal(self) -> None:
        """Show the names without a vote; a later one is not blind."""
        if self.round is not None:
            self.round.blind = False

    def column(self, index: int) -> Column:
        """Return a column by its place on the screen, from 0.

        Raises:
            UsageError: there is none.
        """
        shown = self.shown
        if not 0 <= index < len(shown):
            msg = f"there is no column {index} among {len(shown)}"
            raise UsageError(msg, hint="columns are counted from 0")
        return shown[index]

    def column_by_id(self, id: str) -> Column:
        """Return the column of that id.

        Raises:
            UsageError: it was taken away.
        """
        found = next((one for one in self.columns if one.id == id), None)
        if found is None:
            msg = "this column is no longer there"
            raise UsageError(msg, hint="take another")
        return found

    def turn_by_id(self, id: str) -> Turn:
        """Return the turn of that id.

        Raises:
            UsageError: it is not there.
        """
        turns = (turn for column in self.columns for turn in column.branches)
        found = next((turn for turn in turns if turn.id == id), None)
        if found is None:
            msg = "this answer is no longer there"
            raise UsageError(msg, hint="take another")
        return found

    def column_of(self, turn: Turn) -> Column:
        """Return the column that a turn stands in."""
        return next(one for one in self.columns if turn in list(one.branches))

    def ended(self) -> Round | None:
        """Return the round at hand once, when its last answer has ended."""
        with self._ending:
            run = self.round
            if run is None or run.stored or not run.has_ended:
                return None
            run.stored = True
            return run

    def restore(self, column: Column, said: Iterable[tuple[str, Answer]]) -> None:
        """Put turns that were stored into a column, one after the other."""
        parent = None
        opening = self._opening_or_nothing()
        for text, answer in said:
            turn = self._turn(column, text, parent=parent, opening=opening)
            turn.answer = answer
            parent = turn

    def _opening_or_nothing(self) -> tuple[Message, ...]:
        try:
            return self.draft.opening()
        except LocalkitError:
            return ()

    def _begin(self, turns: list[tuple[Column, Turn]], *, blind: bool) -> list[Turn]:
        self.round = Round(self._with_others(turns), blind=blind)
        return [turn for _, turn in turns]

    def _with_others(
        self, turns: list[tuple[Column, Turn]]
    ) -> list[tuple[Column, Turn]]:
        """Put another answer to the same into the run that it belongs to."""
        run = self.round
        if len(turns) > 1 or run is None or run.verdict is not None:
            return turns
        column, turn = turns[0]
        together = [turns[0] if one is column else (one, old) for one, old in run.turns]
        fits = turns[0] in together and all(
            one.said == turn.said for _, one in together
        )
        return together if fits else turns

    def _turn(
        self,
        column: Column,
        said: str,
        *,
        parent: Turn | None = None,
        opening: tuple[Message, ...] = (),
        setup: Setup | None = None,
    ) -> Turn:
        turn = Turn(
            self._id("t"),
            said,
            setup or column.setup,
            opening=() if parent else opening,
            variables=self.draft.variables,
            parent=parent,
        )
        turn.answer.candidate = {
            "ref": column.setup.ref,
            "quant": column.quant,
            "params": turn.setup.given,
            "variables": {
                name: self.draft.variables[name]
                for name in self.draft.fields
                if name in self.draft.variables
            },
            "opening": [[one.role, one.content] for one in turn.opened],
            "turn": turn.depth,
            "playground": self.name,
        }
        column.branches.add(turn)
        return turn

    def _said(self, text: str) -> str:
        said = self.draft.filled(text)
        if not said.strip():
            msg = "there is nothing said"
            raise UsageError(msg, hint="write a message first")
        return said

    def must_be_revealed(self) -> None:
        """Refuse what would give away a name that is kept back.

        Raises:
            UsageError: one is.
        """
        if self.hides:
            msg = "the columns are hidden until there is a vote"
            raise UsageError(msg, hint="vote, or leave the blind mode")

    def _quant(self, ref: str) -> str:
        return dict(self.models).get(ref, "")

    def _id(self, kind: str) -> str:
        self._n_ids += 1
        return f"{kind}{self._n_ids}"
