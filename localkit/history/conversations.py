"""Conversations by name: each a line of turns that a re-run cell takes back.

A name points to a message; the messages before it are found by the hashes that link
them. A turn that falls off the line stays in the file, and so does a line that
another name points to: a fork is a second name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import UsageError
from localkit.history.line import Line, read_line
from localkit.history.names import check_name, now
from localkit.history.turns import Added, Begun, store_turn
from localkit.history.unused import drop_unused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from localkit.chat.messages import Message
    from localkit.history.database import History

__all__ = ["Added", "Begun", "Conversation", "Conversations", "Listed"]

_MIN_DIGEST = 8
_NO_CELL = (
    "the front end does not say which cell this is, so that a re-run goes on at the "
    "end of the chat: `%llm history rm {}` starts it again"
)


class Conversation(NamedTuple):
    """One conversation as it stands."""

    name: str
    head: str | None
    messages: tuple[Message, ...]
    changed: str
    """ISO 8601, UTC."""


class Listed(NamedTuple):
    """One line of `Conversations.list`."""

    name: str
    head: str | None
    n_messages: int
    n_turns: int
    """All of them, those that fell off the line included."""
    changed: str
    """ISO 8601, UTC."""


class Conversations:
    """The conversations of one history."""

    def __init__(self, history: History) -> None:
        """Read nothing yet."""
        self._history = history
        self._lines: dict[str, Line] = {}

    def begin(
        self, name: str, *, cell: str | None = None, start: str | None = None
    ) -> Begun:
        """Return where a turn of ``name`` starts; nothing is stored before `add`.

        A cell that has a turn on the chat's line starts where that turn started, and
        everything since falls off the line when the new turn is added. Any other one
        goes on at the end.

        Args:
            name: The chat; it need not exist.
            cell: Id of the notebook cell that asks; None: nobody knows.
            start: Chat, or digest of a message, that a new chat goes on from.

        Raises:
            UsageError: ``name`` is no name; ``start`` is nowhere; or the chat exists
                and began with another cell.
            HistoryInvalid: a message on the line is damaged.
        """
        check_name(name)
        row = self._row(name)
        head = None if row is None else row[0]
        line = self._line(name, head)
        mine = self._first(name, line, cell)
        if start is not None and head is not None:
            began = mine is not None and not self._since(name, line, 0, upto=mine.at)
            if cell is not None and not began:
                msg = f"chat '{name}' exists and does not begin here"
                raise UsageError(msg, hint="leave out --from, or choose another name")
        if start is not None and (head is None or mine is not None):
            base = self._meant(start)
            messages = self._line(start, base).messages
            return Begun(messages, base, self._since(name, line, 0), head)
        if mine is None:
            note = _NO_CELL.format(name) if cell is None and head else ""
            return Begun(line.messages, head, 0, head, note)
        place = line.place(mine.base) or 0
        dropped = self._since(name, line, place)
        return Begun(line.upto(place), mine.base, dropped, head)

    def add(
        self,
        name: str,
        begun: Begun,
        messages: Iterable[Message],
        *,
        cell: str | None = None,
    ) -> Added:
        """Put the messages of one turn after those it began with.

        Where somebody added a turn meanwhile, this one comes after it; where it was
        asked again, theirs falls off the line as all later ones do.

        Raises:
            UsageError: ``name`` is no name, or there are no messages.
            HistoryInvalid: the file is damaged.
            DiskFull: there is no room.
        """
        check_name(name)
        turn = tuple(messages)
        if not turn:
            msg = f"a turn of chat '{name}' holds no message"
            raise UsageError(msg, hint="add what was asked, and what was answered")
        with self._history.transaction() as db:
            return store_turn(db, name, begun, turn, cell=cell)

    def show(self, name: str) -> Conversation:
        """Return a conversation.

        Raises:
            UsageError: there is none of that name; names those there are.
            HistoryInvalid: a message is damaged.
        """
        head, changed = self._known(name)
        return Conversation(name, head, self._line(name, head).messages, changed)

    def list(self) -> list[Listed]:
        """Return the conversations, the one changed last first."""
        rows = self._history.select(
            "SELECT name, head, coalesce("
            "(SELECT depth FROM messages WHERE digest = head), 0), "
            "(SELECT count(*) FROM turns WHERE chat = name), changed "
            "FROM chats ORDER BY changed DESC, name"
        )
        return [Listed(*row) for row in rows]

    def fork(self, name: str, new: str) -> Conversation:
        """Give what was said in ``name`` so far a second name, which goes its own way.

        ``name`` may be the digest of a message: the fork ends there.

        Raises:
            UsageError: there is no such chat, or ``new`` exists or is no name.
        """
        check_name(new)
        head = self._meant(name)
        with self._history.transaction() as db:
            query = "INSERT OR IGNORE INTO chats VALUES (?, ?, ?)"
            if not db.execute(query, (new, head, now())).rowcount:
                raise _exists(new)
        return self.show(new)

    def rename(self, name: str, new: str) -> None:
        """Call a conversation otherwise.

        Raises:
            UsageError: there is no such chat, or ``new`` exists or is no name.
        """
        check_name(new)
        head, changed = self._known(name)
        with self._history.transaction() as db:
            query = "INSERT OR IGNORE INTO chats VALUES (?, ?, ?)"
            if not db.execute(query, (new, head, changed)).rowcount:
                raise _exists(new)
            db.execute("UPDATE turns SET chat = ? WHERE chat = ?", (new, name))
            db.execute("DELETE FROM chats WHERE name = ?", (name,))

    def remove(self, *names: str) -> int:
        """Remove conversations; return how many messages are gone with them.

        What another conversation shares with them stays.

        Raises:
            UsageError: there is none of that name; none is removed then.
            DiskFull: there is no room to do it.
        """
        for name in names:
            self._known(name)
        with self._history.transaction() as db:
            for name in names:
                db.execute("DELETE FROM turns WHERE chat = ?", (name,))
                db.execute("DELETE FROM chats WHERE name = ?", (name,))
            gone = drop_unused(db)
        self._lines.clear()
        self._history.wipe()
        return gone

    def _row(self, name: str) -> tuple[str | None, str] | None:
        query = "SELECT head, changed FROM chats WHERE name = ?"
        rows = self._history.select(query, name)
        return (rows[0][0], rows[0][1]) if rows else None

    def _known(self, name: str) -> tuple[str | None, str]:
        row = self._row(name)
        if row is None:
            names = [listed.name for listed in self.list()]
            raise _unknown(f"chat '{name[:80]}'", names)
        return row

    def _meant(self, start: str) -> str | None:
        """Return the digest that a chat's name, or the digest's beginning, stands for.

        Raises:
            UsageError: there is none, or several.
        """
        row = self._row(start)
        if row is not None:
            return row[0]
        found: list[tuple[str]] = []
        if len(start) >= _MIN_DIGEST and set(start) <= set("0123456789abcdef"):
            query = "SELECT digest FROM messages WHERE digest BETWEEN ? AND ? LIMIT 2"
            found = self._history.select(query, start, start + "g")
        if len(found) > 1:
            msg = f"several messages begin with {start}"
            raise UsageError(msg, hint="give more of the digest")
        if not found:
            names = [listed.name for listed in self.list()]
            raise _unknown(f"chat or message '{start[:80]}'", names)
        return found[0][0]

    def _line(self, name: str, head: str | None) -> Line:
        line = read_line(self._history, head, self._lines.get(name, Line()))
        self._lines[name] = line
        return line

    def _first(self, name: str, line: Line, cell: str | None) -> _Turn | None:
        """Return the cell's first turn on the line."""
        if cell is None:
            return None
        query = "SELECT base, head FROM turns WHERE chat = ? AND cell = ?"
        turns = [
            _Turn(place, base)
            for base, head in self._history.select(query, name, cell)
            if (place := line.place(head)) is not None
        ]
        return min(turns, key=lambda turn: turn.at, default=None)

    def _since(
        self, name: str, line: Line, place: int, *, upto: int | None = None
    ) -> int:
        """Return how many turns end on the line after ``place``, and before ``upto``.

        Places count messages.
        """
        last = len(line.digests) + 1 if upto is None else upto
        query = "SELECT DISTINCT head FROM turns WHERE chat = ?"
        ends = [line.place(row[0]) for row in self._history.select(query, name)]
        return sum(end is not None and place < end < last for end in ends)


class _Turn(NamedTuple):
    at: int
    """Messages up to its end."""
    base: str | None


def _unknown(what: str, names: Sequence[str]) -> UsageError:
    there = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    hint = f"there are: {there}" if names else "`%%llm --chat NAME` starts one"
    return UsageError(f"there is no {what}", hint=hint)


def _exists(name: str) -> UsageError:
    msg = f"chat '{name}' exists already"
    return UsageError(msg, hint="choose another name, or remove it first")
