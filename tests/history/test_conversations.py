"""Conversations: a re-run cell takes back what came after it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from localkit.chat.messages import Message
from localkit.errors import HistoryInvalid, UsageError
from localkit.history.database import History
from localkit.runtime.vision.images import Image


def say(history, name, text, cell=None, start=None):
    """Have ``text`` answered in a chat; return what was begun and added."""
    chats = history.conversations
    begun = chats.begin(name, cell=cell, start=start)
    turn = [Message("user", text), Message("assistant", text.upper())]
    return begun, chats.add(name, begun, turn, cell=cell)


def said(history, name):
    """Return what the user said in a chat."""
    messages = history.conversations.show(name).messages
    return [one.content for one in messages if one.role == "user"]


def test_turns_of_different_cells_follow_each_other(history):
    begun, _ = say(history, "a", "one", "c1")
    assert begun.messages == ()
    begun, _ = say(history, "a", "two", "c2")
    assert [one.content for one in begun.messages] == ["one", "ONE"]
    assert begun.rolled_back == 0
    assert said(history, "a") == ["one", "two"]


def test_a_cell_that_asks_again_goes_back_to_where_it_stood(history):
    for number, text in enumerate(["one", "two", "three"]):
        say(history, "a", text, f"c{number}")
    begun, _ = say(history, "a", "two again", "c1")
    assert [one.content for one in begun.messages] == ["one", "ONE"]
    assert begun.rolled_back == 2
    assert said(history, "a") == ["one", "two again"]
    begun, _ = say(history, "a", "three", "c2")
    assert begun.rolled_back == 0
    assert said(history, "a") == ["one", "two again", "three"]


def test_a_notebook_run_from_the_top_again_makes_the_same_chat(history):
    for _ in range(3):
        for number, text in enumerate(["one", "two", "three"]):
            say(history, "a", text, f"c{number}")
        assert said(history, "a") == ["one", "two", "three"]


def test_a_notebook_that_runs_every_day_adds_no_rows(history):
    counts = set()
    for _ in range(3):
        say(history, "a", "one", "c0")
        say(history, "a", "two", "c1")
        counts.add(history.select("SELECT count(*) FROM turns")[0])
    assert counts == {(2,)}


def test_a_cell_with_two_turns_goes_back_to_its_first(history):
    say(history, "a", "one", "c0")
    say(history, "a", "two", "loop")
    chats = history.conversations
    second = chats.begin("a", cell=None)
    turn = [Message("user", "three"), Message("assistant", "THREE")]
    chats.add("a", second, turn, cell="loop")
    begun, _ = say(history, "a", "two", "loop")
    assert begun.rolled_back == 2
    assert said(history, "a") == ["one", "two"]


def test_an_interrupted_rerun_leaves_the_line_as_it_was(history):
    say(history, "a", "one", "c0")
    say(history, "a", "two", "c1")
    begun = history.conversations.begin("a", cell="c0")
    assert begun.rolled_back == 2
    assert said(history, "a") == ["one", "two"]


def test_the_same_cell_id_in_another_chat_rolls_nothing_back(history):
    say(history, "a", "one", "c0")
    begun, _ = say(history, "b", "two", "c0")
    assert (begun.messages, begun.rolled_back) == ((), 0)


def test_without_a_cell_a_turn_goes_on_at_the_end_and_says_so(history):
    begun, _ = say(history, "a", "one")
    assert begun.note == ""
    begun, _ = say(history, "a", "one")
    assert "%llm history rm a" in begun.note
    assert said(history, "a") == ["one", "one"]


def test_a_turn_that_fell_off_can_be_gone_on_from(history):
    say(history, "a", "one", "c0")
    _, lost = say(history, "a", "two", "c1")
    say(history, "a", "two again", "c1")
    begun, _ = say(history, "b", "three", "c2", start=lost.head[:12])
    assert [one.content for one in begun.messages][-1] == "TWO"
    assert said(history, "b") == ["one", "two", "three"]


def test_a_chat_from_another_follows_it_when_both_run_again(history):
    say(history, "a", "one", "c0")
    say(history, "b", "aside", "c1", start="a")
    assert said(history, "b") == ["one", "aside"]
    say(history, "a", "one changed", "c0")
    begun, _ = say(history, "b", "aside", "c1", start="a")
    assert begun.rolled_back == 1
    assert said(history, "b") == ["one changed", "aside"]
    assert said(history, "a") == ["one changed"]


def test_a_second_cell_may_not_begin_a_chat_again(history):
    say(history, "a", "one", "c0")
    say(history, "b", "aside", "c1", start="a")
    with pytest.raises(UsageError, match="does not begin here"):
        history.conversations.begin("b", cell="c2", start="a")
    assert said(history, "b") == ["one", "aside"]


def test_a_fork_shares_rows_and_goes_its_own_way(history):
    say(history, "a", "one", "c0")
    before = history.select("SELECT count(*) FROM messages")
    history.conversations.fork("a", "b")
    assert history.select("SELECT count(*) FROM messages") == before
    say(history, "b", "two", "c1")
    assert said(history, "a") == ["one"]
    assert said(history, "b") == ["one", "two"]


def test_a_fork_keeps_what_the_first_chat_takes_back(history):
    say(history, "a", "one", "c0")
    say(history, "a", "two", "c1")
    history.conversations.fork("a", "b")
    say(history, "a", "other", "c0")
    assert said(history, "b") == ["one", "two"]


def test_a_removed_chat_is_gone_from_the_file_and_its_forks_stay(history, path):
    say(history, "a", "common", "c0")
    history.conversations.fork("a", "b")
    say(history, "a", "canary one", "c1")
    say(history, "a", "canary two", "c1")
    assert history.conversations.remove("a") == 4
    assert said(history, "b") == ["common"]
    with pytest.raises(UsageError, match="no chat 'a'"):
        history.conversations.show("a")
    for file in path.parent.iterdir():
        assert b"canary" not in file.read_bytes().lower(), file


def test_a_renamed_chat_keeps_its_turns(history):
    say(history, "a", "one", "c0")
    history.conversations.rename("a", "b")
    begun, _ = say(history, "b", "one", "c0")
    assert begun.rolled_back == 1
    assert [one.name for one in history.conversations.list()] == ["b"]


def test_names_in_use_are_not_taken(history):
    say(history, "a", "one")
    say(history, "b", "one")
    for act in (history.conversations.fork, history.conversations.rename):
        with pytest.raises(UsageError, match="exists already"):
            act("a", "b")


def test_an_unknown_chat_is_refused_with_the_names_there_are(history):
    say(history, "essay", "one")
    with pytest.raises(UsageError) as caught:
        history.conversations.show("esay")
    assert "essay" in caught.value.hint
    with pytest.raises(UsageError, match="no chat or message"):
        history.conversations.begin("new", start="0123456789ab")


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "a  b", "--all", "a\nb", "a\x1b[2J", "x" * 81, "a\u202eb", "a;b"],
)
def test_a_name_that_cannot_be_typed_is_refused(history, name):
    with pytest.raises(UsageError, match="the name is"):
        history.conversations.begin(name)


@pytest.mark.parametrize("name", ["a", "Über uns", "draft/2", "हिन्दी", "a-b_c.d:e"])
def test_names_may_be_in_any_script(history, name):
    say(history, name, "one")
    assert [one.name for one in history.conversations.list()] == [name]


def test_an_empty_turn_is_refused(history):
    chats = history.conversations
    with pytest.raises(UsageError, match="no message"):
        chats.add("a", chats.begin("a"), [])
    assert chats.list() == []


def test_images_come_back_and_are_stored_once(history, path):
    noise = bytes(range(256)) * 12
    image = Image(32, 32, noise)
    content = [{"type": "image", "image": image}, "what is it?"]
    from localkit.chat.messages import as_messages

    turn = [*as_messages({"role": "user", "content": content})]
    turn.append(Message("assistant", "noise"))
    chats = history.conversations
    for cell in ("c0", "c1"):
        chats.add("a", chats.begin("a", cell=cell), turn, cell=cell)
    assert history.select("SELECT count(*) FROM images") == [(1,)]
    with closing(History(path)) as again:
        shown = again.conversations.show("a").messages[0].images[0].image
    assert (shown.rgb, shown.digest) == (image.rgb, image.digest)
    chats.remove("a")
    assert history.select("SELECT count(*) FROM images") == [(0,)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE messages SET message = replace(message, 'TWO', 'TWO!')",
        "UPDATE messages SET message = 'x' WHERE message LIKE '%TWO%'",
        "UPDATE messages SET parent = NULL WHERE message LIKE '%TWO%'",
        "UPDATE messages SET parent = digest WHERE message LIKE '%TWO%'",
        "DELETE FROM messages WHERE message LIKE '%two%'",
    ],
)
def test_a_message_that_was_changed_on_disk_is_an_error_that_names_it(
    history, path, damage
):
    for number, text in enumerate(["one", "two", "three"]):
        say(history, "a", text, f"c{number}")
    history.close()
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(damage).rowcount
    with closing(History(path)) as again:
        with pytest.raises(HistoryInvalid, match=r"message [0-9a-f]{12}") as caught:
            again.conversations.begin("a", cell="c9")
        assert "%llm history rm" in caught.value.hint
        again.conversations.remove("a")
        say(again, "a", "one")


def test_two_kernels_in_one_chat_lose_no_turn(history, path):
    say(history, "a", "one", "c0")
    with closing(History(path)) as other:
        mine = history.conversations.begin("a", cell="mine")
        say(other, "a", "theirs", "c1")
        turn = [Message("user", "mine"), Message("assistant", "MINE")]
        added = history.conversations.add("a", mine, turn, cell="mine")
        assert added.n_missed == 2
        assert said(other, "a") == ["one", "theirs", "mine"]
        begun, _ = say(history, "a", "mine again", "mine")
        assert begun.rolled_back == 1
        assert said(other, "a") == ["one", "theirs", "mine again"]


def test_a_chat_that_is_removed_while_an_answer_is_made_comes_back(history, path):
    say(history, "a", "one", "c0")
    begun = history.conversations.begin("a", cell="c1")
    with closing(History(path)) as other:
        other.conversations.remove("a")
    turn = [Message("user", "two"), Message("assistant", "TWO")]
    history.conversations.add("a", begun, turn, cell="c1")
    assert said(history, "a") == ["one", "two"]


class Chats(RuleBasedStateMachine):
    """Cells that run in any order, against the rule in a few lines."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History(None)
        self.lines: dict[str, list[tuple[str, str]]] = {}
        self.count = 0

    @rule(name=st.sampled_from("ab"), cell=st.sampled_from(["c0", "c1", "c2", "c3"]))
    def run(self, name, cell):
        self.count += 1
        say(self.history, name, f"{self.count}", cell)
        line = self.lines.setdefault(name, [])
        cells = [one for one, _ in line]
        if cell in cells:
            del line[cells.index(cell) :]
        line.append((cell, f"{self.count}"))

    @rule(name=st.sampled_from("ab"))
    def run_headless(self, name):
        self.count += 1
        say(self.history, name, f"{self.count}")
        self.lines.setdefault(name, []).append(("", f"{self.count}"))

    @rule()
    def remove(self):
        if "b" in self.lines:
            self.history.conversations.remove("b")
            del self.lines["b"]

    @invariant()
    def lines_are_as_the_rule_says(self):
        listed = {one.name for one in self.history.conversations.list()}
        assert listed == set(self.lines)
        for name, line in self.lines.items():
            assert said(self.history, name) == [text for _, text in line]

    def teardown(self):
        self.history.close()


Chats.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestChats = Chats.TestCase
