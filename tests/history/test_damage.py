"""A history whose bytes have changed: errors with a way out, and nothing else."""

from __future__ import annotations

import random
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from localkit.chat.messages import Message
from localkit.errors import LocalkitError
from localkit.history.answers import Question
from localkit.history.clearing import clear
from localkit.history.database import History
from localkit.history.size import size_of
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

N_FLIPS = 60


def attempt(work: Callable[[], object]) -> None:
    """Do ``work``; only what localkit raises on purpose may come of it."""
    with suppress(LocalkitError):
        work()


@pytest.mark.faults
def test_flipped_bits_in_the_file_raise_nothing_unexpected(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    rng = random.Random(4)
    with fake_kit(tiny_gguf) as kit:
        question = Question(
            kit.resolve(MODEL), messages="Why?", options={"temperature": 0}
        )
        result = kit.load(MODEL).chat("Why?", temperature=0)
        path = tmp_path / "history.db"
        with closing(History(path)) as history:
            chats = history.conversations
            for number in range(12):
                cell = f"c{number}"
                turn = [Message("user", cell), Message("assistant", "x" * 400)]
                chats.add("a", chats.begin("a", cell=cell), turn, cell=cell)
            chats.fork("a", "b")
            history.answers.keep(question, result)
            history.wipe()
        whole = path.read_bytes()
        for _ in range(N_FLIPS):
            content = bytearray(whole)
            for _ in range(rng.choice([1, 8, 64])):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content)
            attempt(lambda: use(path, question))


def use(path: Path, question: Question) -> None:
    """Do everything with a history that can be done."""
    with closing(History(path)) as history:
        chats = history.conversations
        turn = [Message("user", "more"), Message("assistant", "MORE")]
        for work in (
            lambda: size_of(history),
            chats.list,
            lambda: chats.show("a"),
            lambda: chats.begin("a", cell="c3"),
            lambda: chats.add("a", chats.begin("a", cell="c9"), turn, cell="c9"),
            history.answers.list,
            lambda: history.answers.find(question),
            lambda: chats.remove("b"),
            lambda: clear(history, "all"),
        ):
            attempt(work)
