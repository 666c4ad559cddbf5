"""Kept answers and conversations, as one cell uses them.

A history that cannot be read or written costs the reader a line, never an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import LocalkitError
from localkit.history.answers import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.chat.messages import Message
    from localkit.chat.result import Result
    from localkit.cli.request import Request
    from localkit.history.answers import Answers
    from localkit.history.conversations import Begun
    from localkit.history.database import History
    from localkit.store import StoredModel

    Say = Callable[[str], None]


class Recall:
    """The answer to one question, if it is kept; else where to keep it."""

    def __init__(self, answers: Answers | None, question: Question) -> None:
        """Name the question; nothing is loaded for it."""
        self._answers = answers
        self._question = question

    def find(self) -> Result | None:
        """Return the kept answer; its note says that it was kept."""
        return None if self._answers is None else self._answers.find(self._question)

    def keep(self, result: Result) -> None:
        """Keep a whole answer for the next time."""
        if self._answers is not None:
            self._answers.keep(self._question, result)


def kept_answers(history: Callable[[], History], say: Say) -> Answers | None:
    """Return the kept answers; None, and a line that says so, where none can be."""
    try:
        return history().answers
    except LocalkitError as error:
        say(f"kept answers cannot be used: {error.one_line()}")
        return None


def question_of(
    request: Request,
    stored: StoredModel,
    prompt: str,
    messages: Sequence[Message],
    *,
    place: int = 0,
) -> Question:
    """Return what is asked of ``stored``; ``place`` counts answers to one question."""
    options = request.options
    if place and options.get("seed") is not None:
        options["seed"] += place  # as `Model.chat` counts
    return Question(
        stored,
        request.load_params,
        messages=None if request.continues else tuple(messages),
        prompt=prompt if request.continues else None,
        options=options,
        nth=place,
    )


class Chat:
    """One turn of a named conversation; of none where ``name`` is None."""

    def __init__(
        self,
        history: Callable[[], History],
        name: str | None,
        *,
        cell: str | None,
        start: str | None,
        say: Say,
    ) -> None:
        """Find where the turn begins; the history is opened only for a name.

        Raises:
            UsageError: the name is none, or ``start`` is nowhere.
            HistoryInvalid: the conversation cannot be read.
        """
        self._name = name
        self._cell = cell
        self._say = say
        self._begun: Begun | None = None
        self.messages: tuple[Message, ...] = ()
        """What was said before."""
        if name is not None:
            self._conversations = history().conversations
            self._begun = self._conversations.begin(name, cell=cell, start=start)
            self.messages = self._begun.messages

    def announce(self) -> None:
        """Say what the turn leaves behind."""
        begun = self._begun
        if begun is None:
            return
        if begun.rolled_back:
            turns = "turn" if begun.rolled_back == 1 else "turns"
            self._say(
                f"chat '{self._name}' is back where this cell stood: "
                f"{begun.rolled_back} {turns} since then dropped"
            )
        if begun.note:
            self._say(begun.note)

    def add(self, result: Result) -> None:
        """Put question and answer into the conversation; not what was interrupted.

        Raises:
            HistoryInvalid, DiskFull, StoreLocked: it cannot be written.
        """
        if self._name is None or self._begun is None:
            return
        if result.finish_reason in ("interrupted", "error"):
            self._say(f"the answer is not whole: chat '{self._name}' stays as it was")
            return
        turn = result.messages[len(self.messages) :]
        added = self._conversations.add(self._name, self._begun, turn, cell=self._cell)
        if added.n_missed:
            self._say(
                f"chat '{self._name}' went on meanwhile: {added.n_missed} messages "
                "stand before this turn, which was answered without them"
            )
