"""Answers that are shown again: which, how often, and how they are kept apart."""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from localkit.chat.messages import as_messages
from localkit.config import Settings
from localkit.errors import DiskFull
from localkit.history import answers as answers_module
from localkit.history.answers import Answers, Question
from localkit.history.database import History
from localkit.kit import Kit
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.vision.images import Image
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.chat.result import Result

SEEDED = {"seed": 4}


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    with fake_kit(tiny_gguf, runtime=FakeRuntime(replies=["blue"])) as kit:
        yield kit


def question(kit: Kit, text: str = "Why?", **options: Any) -> Question:
    return Question(kit.resolve(MODEL), messages=text, options=options)


def ask(kit: Kit, text: str = "Why?", **options: Any) -> Result:
    return kit.load(MODEL).chat(text, **options)


def next_kernel(kit: Kit) -> Answers:
    """Return the answers as another process would see them."""
    return Answers(kit.history)


def test_a_determined_answer_is_found_again_and_again(kit):
    result = ask(kit, **SEEDED)
    asked = question(kit, **SEEDED)
    assert kit.history.answers.find(asked) is None
    assert kit.history.answers.keep(asked, result)
    for _ in range(3):
        again = kit.history.answers.find(asked)
        assert dataclasses.replace(again, notes=result.notes) == result
        assert "from the cache, made 20" in again.note
        assert "--fresh asks again" in again.note


def test_an_undetermined_answer_is_shown_once_a_kernel(kit):
    asked = question(kit)
    assert kit.history.answers.find(asked) is None
    kit.history.answers.keep(asked, ask(kit))
    assert kit.history.answers.find(asked) is None
    later = next_kernel(kit)
    assert later.find(asked) is not None
    assert later.find(asked) is None
    assert next_kernel(kit).find(asked) is not None


def test_an_answer_that_was_asked_for_fresh_takes_the_place_of_the_old_one(kit):
    asked = question(kit, **SEEDED)
    result = ask(kit, **SEEDED)
    kit.history.answers.keep(asked, result)
    kit.history.answers.keep(asked, dataclasses.replace(result, text="green"))
    assert kit.history.answers.find(asked).text == "green"
    assert len(kit.history.answers.list()) == 1


@pytest.mark.parametrize("reason", ["interrupted", "error"])
def test_an_answer_that_is_not_whole_is_not_kept(kit, reason):
    result = dataclasses.replace(ask(kit), finish_reason=reason)
    assert not kit.history.answers.keep(question(kit), result)
    assert kit.history.answers.list() == []


def test_an_answer_from_the_cache_is_not_kept_as_if_it_were_new(kit):
    asked = question(kit, **SEEDED)
    kit.history.answers.keep(asked, ask(kit, **SEEDED))
    (before,) = kit.history.answers.list()
    replayed = kit.history.answers.find(asked)
    assert not kit.history.answers.keep(asked, replayed)
    (after,) = kit.history.answers.list()
    assert after.made == before.made


def test_answers_are_not_kept_where_the_settings_say_so(tiny_gguf, monkeypatch):
    monkeypatch.setenv("LOCALKIT_CACHE_ANSWERS", "0")
    with fake_kit(tiny_gguf) as made:
        kit = Kit(Settings(), runtime=made.runtime)
        asked = question(made, **SEEDED)
        assert not kit.history.answers.keep(asked, ask(made, **SEEDED))
        assert kit.history.answers.find(asked) is None
        kit.close()


def test_another_kernel_finds_it_without_loading_the_model(tiny_gguf):
    runtime = FakeRuntime(replies=["blue"])
    with fake_kit(tiny_gguf, runtime=runtime) as kit:
        asked = question(kit, **SEEDED)
        kit.history.answers.keep(asked, ask(kit, **SEEDED))
    with fake_kit(tiny_gguf, runtime=(second := FakeRuntime())) as kit:
        assert kit.history.answers.find(question(kit, **SEEDED)).text == "blue"
        assert second.loaded == []


def test_a_pydantic_class_is_put_back_on_the_answer(kit):
    from pydantic import BaseModel

    class Colour(BaseModel):
        name: str

    kit.runtime.replies = ['{"name": "blue"}']
    asked = question(kit, structure=Colour, **SEEDED)
    result = ask(kit, structure=Colour, **SEEDED)
    kit.history.answers.keep(asked, result)
    again = kit.history.answers.find(asked)
    assert again.form is Colour
    assert again.parsed == result.parsed


def test_images_of_the_conversation_are_put_back(kit):
    image = Image(2, 2, bytes(range(12)))
    content = [{"type": "image", "image": image}, "what is it?"]
    messages = as_messages({"role": "user", "content": content})
    asked = Question(kit.resolve(MODEL), messages=messages, options=SEEDED)
    result = dataclasses.replace(ask(kit, **SEEDED), messages=messages)
    assert kit.history.answers.keep(asked, result)
    again = kit.history.answers.find(asked)
    assert again.messages[0].images[0].image.rgb == image.rgb


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers SET result = 'x'",
        "UPDATE answers SET result = '{}'",
        "UPDATE answers SET result = replace(result, 'stop', 'whim')",
        "UPDATE answers SET result = replace(result, '\"text\"', '\"old\"')",
        "UPDATE answers SET result = replace(result, '\"n_ctx\"', '\"n_context\"')",
    ],
)
def test_a_damaged_or_old_answer_is_asked_again_and_logged(kit, damage, caplog):
    asked = question(kit, **SEEDED)
    result = ask(kit, **SEEDED)
    kit.history.answers.keep(asked, result)
    with kit.history.transaction() as db:
        assert db.execute(damage).rowcount
    with caplog.at_level(logging.WARNING):
        assert kit.history.answers.find(asked) is None
    assert "is damaged and asked again" in caplog.text
    assert kit.history.answers.keep(asked, result)
    assert kit.history.answers.find(asked) is not None


def test_an_answer_is_not_lost_because_it_cannot_be_kept(kit, monkeypatch, caplog):
    def full(self: History) -> Any:
        raise DiskFull(1 << 20, 0, kit.settings.home)

    asked = question(kit, **SEEDED)
    result = ask(kit, **SEEDED)
    monkeypatch.setattr(History, "transaction", full)
    with caplog.at_level(logging.WARNING):
        assert not kit.history.answers.keep(asked, result)
    assert "cannot be kept" in caplog.text


def test_the_answers_used_longest_ago_make_room(kit, monkeypatch):
    result = ask(kit, **SEEDED)
    monkeypatch.setattr(answers_module, "MAX_ANSWERS", 3)
    times = iter(f"2026-01-01T00:00:{second:02d}+00:00" for second in range(60))
    monkeypatch.setattr(answers_module, "now", lambda: next(times))
    answers = kit.history.answers
    asked = [question(kit, f"Why {n}?", **SEEDED) for n in range(4)]
    for one in asked[:3]:
        answers.keep(one, result)
    assert answers.find(asked[0]) is not None
    answers.keep(asked[3], result)
    assert [answers.find(one) is not None for one in asked] == [True, False, True, True]


def test_the_answers_together_stay_within_their_bytes(kit, monkeypatch):
    result = ask(kit, **SEEDED)
    size = 4000
    monkeypatch.setattr(answers_module, "MAX_BYTES", 10 * size)
    for n in range(30):
        text = dataclasses.replace(result, text="x" * size)
        kit.history.answers.keep(question(kit, f"Why {n}?", **SEEDED), text)
    kept = kit.history.answers.list()
    assert 0 < sum(one.n_bytes for one in kept) <= 10 * size


def test_an_answer_too_large_to_keep_is_logged(kit, monkeypatch, caplog):
    monkeypatch.setattr(answers_module, "MAX_ANSWER_BYTES", 100)
    with caplog.at_level(logging.WARNING):
        assert not kit.history.answers.keep(question(kit), ask(kit))
    assert "is not kept" in caplog.text


def test_cleared_answers_stand_in_no_file(kit):
    result = dataclasses.replace(ask(kit), text="the canary sings " * 100)
    kit.history.answers.keep(question(kit), result)
    folder = kit.settings.home
    assert any(b"canary" in one.read_bytes() for one in folder.glob("history.db*"))
    assert kit.history.answers.clear() == 1
    assert not any(b"canary" in one.read_bytes() for one in folder.glob("history.db*"))


def test_N5_two_cells_that_ask_the_same_at_once_get_one_kept_answer(kit):
    asked = question(kit)
    kit.history.answers.keep(asked, ask(kit))
    later, found = next_kernel(kit), []
    threads = [
        threading.Thread(target=lambda: found.append(later.find(asked)))
        for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(one is not None for one in found) == 1


def test_an_option_without_a_stable_form_keeps_nothing(kit):
    asked = Question(kit.resolve(MODEL), messages="Why?", options={"x": object()})
    assert kit.history.answers.find(asked) is None
    assert not kit.history.answers.keep(asked, ask(kit))
