from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from localkit.chat.messages import Message, as_messages
from localkit.cli import main
from localkit.cli.history import complete_chat
from localkit.history.answers import Question
from localkit.runtime.vision.images import Image
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    with fake_kit(tiny_gguf) as kit:
        yield kit


@pytest.fixture
def run(kit: Kit) -> Run:
    chats = kit.history.conversations
    for text in ("Why is the sky blue?", "And at night?"):
        turn = [Message("user", text), Message("assistant", f"*{text.upper()}*")]
        chats.add("essay", chats.begin("essay", cell=text), turn, cell=text)
    return lambda *words: CliRunner().invoke(main, ["history", *words])


def test_it_says_how_much_is_kept_and_where(run, kit):
    question = Question(kit.resolve(MODEL), messages="Why?")
    kit.history.answers.keep(question, kit.load(MODEL).chat("Why?"))
    shown = run().stdout
    assert str(kit.settings.history_db) in shown
    assert "chats: 1 with 4 messages" in shown
    assert "answers: 1 of" in shown
    assert "at most 2000 and 64 MiB" in shown


def test_it_says_when_answers_are_switched_off(run, kit):
    kit.settings.cache_answers = False
    assert "LOCALKIT_CACHE_ANSWERS is off" in run().stdout


def test_chats_are_listed_shown_forked_renamed_and_removed(run):
    assert run("chats").stdout.split()[-5:-3] == ["essay", "4"]
    assert "[user]\nAnd at night?\n" in run("show", "essay").stdout
    assert "4 messages" in run("fork", "essay", "other").stdout
    assert "later" in run("mv", "other", "later").stdout
    assert "0 messages" in run("rm", "later").stdout
    assert "4 messages" in run("rm", "essay").stdout
    assert "no chats yet" in run("chats").stdout


def test_an_unknown_chat_ends_in_one_line_that_names_the_others(run):
    result = run("show", "esay")
    assert result.exit_code == 1
    assert "essay" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_answers_are_listed_and_cleared(run, kit):
    assert "no answers" in run("answers").stdout
    for text in ("Why?", "How?"):
        question = Question(kit.resolve(MODEL), messages=text)
        kit.history.answers.keep(question, kit.load(MODEL).chat(text))
    assert run("answers").stdout.count("tiny:f16") == 2
    assert "and 1 more" in run("answers", "--limit", "1").stdout
    assert "2 answers" in run("clear", "--answers").stdout
    assert kit.history.answers.list() == []
    assert kit.history.conversations.show("essay").messages


def test_what_to_clear_has_to_be_said(run, kit):
    result = run("clear")
    assert result.exit_code == 1
    assert "--answers, --chats or --all" in result.stderr
    assert "4 messages" in run("clear", "--all").stdout
    assert kit.history.conversations.list() == []


def test_a_chat_is_exported_as_markdown_that_runs_nothing(run, kit):
    chats = kit.history.conversations
    hostile = "![x](http://evil/beacon)\n```\n<img src=x onerror=alert(1)>\n````"
    turn = [Message("user", "hi"), Message("assistant", hostile)]
    chats.add("bad", chats.begin("bad"), turn)
    assert run("export", "bad").stdout == (
        f"# bad\n\n## user\n\n```\nhi\n```\n\n## assistant\n\n`````\n{hostile}\n`````\n"
    )


def test_a_chat_is_exported_as_json_that_can_be_asked_again(run, kit, tmp_path):
    image = Image(2, 2, bytes(range(12)))
    content = [{"type": "text", "text": "see"}, {"type": "image", "image": image}]
    turn = [*as_messages({"role": "user", "content": content})]
    turn.append(Message("assistant", "I see.", "Hm."))
    chats = kit.history.conversations
    chats.add("seen", chats.begin("seen"), turn)
    file = tmp_path / "seen.json"
    assert "2 messages" in run("export", "seen", str(file)).stdout
    assert as_messages(json.loads(file.read_text("utf-8"))) == tuple(turn)
    assert json.loads(run("export", "seen", "--json").stdout)[1]["content"] == "I see."


def test_a_file_that_may_not_be_written_ends_in_one_line(run, tmp_path):
    (tmp_path / "plain").write_text("")
    result = run("export", "essay", str(tmp_path / "plain" / "x.md"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_N1_what_was_said_does_not_act_on_the_terminal(run, kit):
    chats = kit.history.conversations
    turn = [Message("user", "\x1b[2Jhi\x07"), Message("assistant", "\u202eevil")]
    chats.add("bad", chats.begin("bad"), turn)
    shown = run("show", "bad").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "hi" in shown


def test_names_of_chats_are_completed(run, kit):
    kit.history.conversations.fork("essay", "other")
    assert complete_chat(None, None, "es") == ["essay"]
    kit.settings.history_db.write_bytes(b"no database" * 1000)
    kit.history.close()
    assert complete_chat(None, None, "es") == []


def test_N2_a_long_chat_is_shown_from_its_end_and_says_what_is_left_out(run, kit):
    chats = kit.history.conversations
    for number in range(60):
        turn = [Message("user", f"q{number}"), Message("assistant", "x" * 9_000)]
        chats.add("long", chats.begin("long"), turn)
    shown = run("show", "long").stdout
    assert len(shown) < 210_000
    assert "q59" in shown
    left_out = int(shown.partition(" ")[0])
    assert left_out + shown.count("[user]") + shown.count("[assistant]") == 120
    assert run("show", "long", "--last", "2").stdout.startswith("118 earlier messages")
    assert len(run("export", "long").stdout) > 500_000


def test_N2_one_message_beyond_all_bounds_is_cut_and_says_so(run, kit):
    chats = kit.history.conversations
    chats.add("huge", chats.begin("huge"), [Message("user", "x" * 300_000)])
    assert "cut, of 300007 characters" in run("show", "huge").stdout


def test_N2_an_export_too_long_for_a_cell_asks_for_a_file(kit, tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    from localkit.cli.failures import CommandFailed
    from localkit.magics.screen import NotebookScreen

    chats = kit.history.conversations
    chats.add("huge", chats.begin("huge"), [Message("user", "x" * 1_000_000)])
    screen = NotebookScreen(InteractiveShell())
    words = ["history", "export", "huge"]
    with pytest.raises(CommandFailed, match="too much for a cell"):
        main.main(words, "%llm", standalone_mode=False, obj=screen)
    words.append(str(tmp_path / "huge.md"))
    main.main(words, "%llm", standalone_mode=False, obj=screen)
    assert (tmp_path / "huge.md").stat().st_size > 1_000_000
