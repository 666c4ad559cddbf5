"""Answers that are shown again when the same is asked again."""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from localkit.chat.parsing import class_of
from localkit.chat.result import REPLAYED
from localkit.errors import LocalkitError
from localkit.history.messages import images_of
from localkit.history.names import now
from localkit.history.question import Question
from localkit.history.results import result_from_json, result_to_json

if TYPE_CHECKING:
    import sqlite3

    from localkit.chat.result import Result
    from localkit.history.database import History

__all__ = ["Answers", "KeptAnswer", "Question"]

MAX_ANSWERS: Final = 2000
MAX_BYTES: Final = 64 << 20
"""Of all answers together, as JSON; those used longest ago go first."""
MAX_ANSWER_BYTES: Final = 8 << 20
"""Of one: logprobs of a long prompt take some."""
_WHOLE = ("stop", "length", "tool_calls")
_log = logging.getLogger(__name__)


class KeptAnswer(NamedTuple):
    """One line of `Answers.list`."""

    key: str
    model: str
    n_bytes: int
    made: str
    """ISO 8601, UTC."""
    used: str
    """When it was shown last, or made."""


class Answers:
    """The answers of one history.

    Nothing here stops an answer from being made or shown: what cannot be read or
    written is a line in the log.
    """

    def __init__(self, history: History, *, active: bool = True) -> None:
        """Keep nothing and find nothing unless ``active``."""
        self.active = active
        self._history = history
        self._asked: set[str] = set()
        # Cells of two threads may ask at once.
        self._lock = threading.Lock()

    def find(self, question: Question) -> Result | None:
        """Return the answer that ``question`` had before; None: it is to be asked.

        A determined question (`Question.determined`) always finds it; any other one
        does the first time that this process asks, and is drawn anew from then on.
        The figures are those of when it was made, which a note says.
        """
        key = self._key(question)
        if key is None:
            return None
        with self._lock:
            again = key in self._asked
            self._asked.add(key)
        if again and not question.determined:
            return None
        try:
            return self._read(key, question)
        except LocalkitError as error:
            _log.warning("the answers cannot be read: %s", error.one_line())
            return None

    def keep(self, question: Question, result: Result) -> bool:
        """Keep a whole answer, in place of an older one; return whether it was.

        One that was interrupted or failed is not, nor is one that came from here.
        """
        key = self._key(question)
        if key is None or result.finish_reason not in _WHOLE or result.replayed:
            return False
        with self._lock:
            self._asked.add(key)
        try:
            text = result_to_json(result)
        except (TypeError, ValueError, RecursionError) as error:
            _log.warning("an answer cannot be kept: %s", error)
            return False
        n_bytes = len(text.encode())
        if n_bytes > MAX_ANSWER_BYTES:
            _log.warning("an answer of %d MiB is not kept", n_bytes >> 20)
            return False
        time = now()
        try:
            with self._history.transaction() as db:
                values = (key, str(question.stored.ref), n_bytes, time, time, text)
                query = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
                db.execute(query, values)
                _bound(db)
        except LocalkitError as error:
            _log.warning("an answer cannot be kept: %s", error.one_line())
            return False
        return True

    def list(self) -> list[KeptAnswer]:
        """Return the answers, the one used last first.

        Raises:
            HistoryInvalid: the file is damaged.
        """
        query = "SELECT key, model, n_bytes, made, used FROM answers "
        rows = self._history.select(query + "ORDER BY used DESC, key")
        return [KeptAnswer(*row) for row in rows]

    def clear(self) -> int:
        """Forget every answer; return how many there were.

        Raises:
            HistoryInvalid: the file is damaged.
            DiskFull: there is no room to do it.
        """
        with self._history.transaction() as db:
            n_answers = db.execute("DELETE FROM answers").rowcount
        self._history.wipe(shrink=True)
        return n_answers

    def _key(self, question: Question) -> str | None:
        if not self.active:
            return None
        try:
            return question.key
        except TypeError as error:
            _log.info("an answer is not kept: %s", error)
            return None

    def _read(self, key: str, question: Question) -> Result | None:
        query = "SELECT made, result FROM answers WHERE key = ?"
        rows = self._history.select(query, key)
        if not rows:
            return None
        made, text = rows[0]
        images = images_of(question.conversation)
        form = class_of(question.options.get("structure"))
        try:
            result = result_from_json(text, images, form=form)
        except ValueError as error:
            _log.warning("answer %s is damaged and asked again: %s", key[:12], error)
            return None
        try:
            with self._history.transaction() as db:
                values = (now(), key)
                db.execute("UPDATE answers SET used = ? WHERE key = ?", values)
        except LocalkitError as error:
            _log.warning("the use of an answer is not noted: %s", error.one_line())
        note = f"{REPLAYED}, made {made[:10]}; --fresh asks again"
        return dataclasses.replace(result, notes=(*result.notes, note))


def _bound(db: sqlite3.Connection) -> None:
    """Drop the answers used longest ago until the others are within bounds."""
    query = "SELECT count(*), coalesce(sum(n_bytes), 0) FROM answers"
    n_answers, n_bytes = db.execute(query).fetchone()
    if n_answers <= MAX_ANSWERS and n_bytes <= MAX_BYTES:
        return
    query = "SELECT key, n_bytes FROM answers ORDER BY used"
    for key, size in db.execute(query).fetchall():
        if n_answers <= MAX_ANSWERS and n_bytes <= MAX_BYTES:
            return
        db.execute("DELETE FROM answers WHERE key = ?", (key,))
        n_answers, n_bytes = n_answers - 1, n_bytes - size
