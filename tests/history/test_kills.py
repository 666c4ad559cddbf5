"""Kernels that are killed, two that add at once, and chats of many turns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from localkit.chat.messages import Message
from localkit.history.conversations import Conversations
from localkit.history.database import History
from localkit.history.messages import link, message_to_json

CHILD = """
import sys
from pathlib import Path
from localkit.chat.messages import Message
from localkit.history.database import History
chats = History(Path(sys.argv[1])).conversations
for number in range(int(sys.argv[3])):
    cell = f"{sys.argv[2]} {number}"
    turn = [Message("user", cell), Message("assistant", "x" * 500)]
    chats.add("a", chats.begin("a", cell=cell), turn, cell=cell)
    print(number, flush=True)
"""
N_TURNS = 10_000


def child(path, name, n_turns):
    command = [sys.executable, "-c", CHILD, str(path), name, str(n_turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(path):
    """Return what the user said in the chat that the children add to."""
    with closing(History(path)) as history:
        messages = history.conversations.show("a").messages
    return [one.content for one in messages if one.role == "user"]


@pytest.mark.faults
def test_N5_a_killed_kernel_loses_no_turn_it_was_told_is_stored(path):
    for kill in range(3):
        with child(path, f"k{kill}", 10_000) as process:
            for _ in range(1 + 5 * kill):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            acknowledged = process.stdout.read().split()
        names = said(path)
        assert {f"k{kill} {number}" for number in acknowledged} <= set(names)


@pytest.mark.faults
def test_two_processes_that_add_to_one_chat_at_once_lose_no_turn(path):
    processes = [child(path, name, 25) for name in ("left", "right")]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    names = said(path)
    for name in ("left", "right"):
        mine = [one for one in names if one.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(25)]
    assert len(names) == 50


@pytest.fixture
def long(history):
    """Return a history with a chat of `N_TURNS` turns, each of its own cell."""
    parent = None
    with history.transaction() as db:
        db.execute("INSERT INTO chats VALUES ('long', NULL, 'now')")
        for number in range(N_TURNS):
            base = parent
            for at, role in enumerate(("user", "assistant")):
                text = message_to_json(Message(role, f"{number} " + "word " * 30))
                digest, depth = link(parent, text), 2 * number + at + 1
                values = (digest, parent, depth, "now", text)
                db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", values)
                parent = digest
            db.execute(
                "INSERT INTO turns (chat, cell, base, head, made) "
                "VALUES ('long', ?, ?, ?, 'now')",
                (f"c{number}", base, parent),
            )
        db.execute("UPDATE chats SET head = ?", (parent,))
    return history


def fastest(work, times):
    """Return the least seconds that ``work`` took: the machine has other work."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


@pytest.mark.thorough
@pytest.mark.alone
def test_a_turn_after_ten_thousand_others_begins_at_once(long):
    chats = long.conversations
    assert fastest(lambda: Conversations(long).begin("long", cell="new"), 2) < 1.5
    begun = chats.begin("long", cell="new")
    assert len(begun.messages) == 2 * N_TURNS

    def go_on() -> None:
        turn = [Message("user", "more"), Message("assistant", "MORE")]
        chats.add("long", chats.begin("long", cell="last"), turn, cell="last")

    assert fastest(lambda: chats.begin("long", cell="new"), 5) < 0.05
    assert fastest(go_on, 5) < 0.1
    last = f"c{N_TURNS - 1}"
    assert fastest(lambda: chats.begin("long", cell=last), 5) < 0.1
    assert fastest(chats.list, 5) < 0.05
