"""The key of a question: whatever decides an answer is in it."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from localkit.asking.asker import Manner
from localkit.asking.options import ChatOptions
from localkit.chat.messages import Message, as_messages
from localkit.config import settings
from localkit.errors import UsageError
from localkit.history import question as questions
from localkit.history.question import NOT_DECISIVE, Question
from localkit.runtime.params import (
    Adapter,
    LoadParams,
    SamplingParams,
    ServeParams,
    Structure,
)
from localkit.runtime.vision.images import Image
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.store import StoredModel


@pytest.fixture
def stored(tiny_gguf: Path) -> Iterator[StoredModel]:
    with fake_kit(tiny_gguf) as kit:
        yield kit.resolve(MODEL)


def weather(city: str) -> str:
    """Tell the weather."""
    return city


def changed(name: str, tmp_path: Path) -> Any:
    """Return a value of an option that is not its default."""
    special: dict[str, Any] = {
        "kv_type": "q8_0",
        "flash_attn": True,
        "stop": "END",
        "structure": {"type": "object"},
        "logit_bias": {7: float("-inf")},
        "dry_sequence_breakers": ["x"],
        "adapters": [tmp_path / "style.gguf"],
        "draft": tmp_path / "style.gguf",
        "projector": tmp_path / "style.gguf",
        "speculate": "prompt-lookup",
        "exact": True,
        "context_shift": True,
        "system": "be brief",
        "tools": [weather],
        "tool_choice": "required",
        "tool_prompt": True,
        "think": False,
        "priority": "bulk",
        "params": SamplingParams(top_k=3),
    }
    return special.get(name, 3)


def test_every_option_that_decides_an_answer_is_in_the_key(stored, tmp_path):
    (tmp_path / "style.gguf").write_bytes(b"some weights")
    names = (
        {one.name for one in dataclasses.fields(SamplingParams)}
        | {one.name for one in dataclasses.fields(ServeParams)}
        | set(Manner._fields)
        | set(ChatOptions.__annotations__)
    )
    plain = Question(stored, messages="Why?").key
    keys = {}
    for name in sorted(names - NOT_DECISIVE.keys()):
        options = {name: changed(name, tmp_path)}
        keys[name] = Question(stored, messages="Why?", options=options).key
    assert plain not in keys.values()
    assert len(set(keys.values())) == len(keys)
    for name in NOT_DECISIVE:
        options = {name: changed(name, tmp_path)}
        assert Question(stored, messages="Why?", options=options).key == plain


def test_every_load_param_is_in_the_key(stored, tmp_path):
    (tmp_path / "style.gguf").write_bytes(b"some weights")
    keys = {Question(stored, messages="Why?").key}
    fields = dataclasses.fields(LoadParams)
    for one in fields:
        load = dataclasses.replace(
            LoadParams(), **{one.name: changed(one.name, tmp_path)}
        )
        keys.add(Question(stored, load, messages="Why?").key)
    assert len(keys) == len(fields) + 1


def test_every_sampling_param_given_as_a_whole_is_in_the_key(stored, tmp_path):
    keys = set()
    fields = dataclasses.fields(SamplingParams)
    special = {
        "structure": Structure("json"),
        "stop": ("END",),
        "logit_bias": ((7, float("-inf")),),
        "dry_sequence_breakers": ("x",),
        "mirostat": 2,
    }
    for one in fields:
        value = special.get(one.name, 3)
        params = dataclasses.replace(SamplingParams(), **{one.name: value})
        question = Question(stored, messages="Why?", options={"params": params})
        keys.add(question.key)
    assert len(keys) == len(fields)


def test_every_part_of_the_conversation_is_in_the_key(stored):
    image = {"type": "image", "image": Image(1, 1, b"abc")}
    other = {"type": "image", "image": Image(1, 1, b"abd")}
    conversations = [
        "Why?",
        "Why? ",
        [Message("system", "x"), Message("user", "Why?")],
        [Message("user", "x"), Message("assistant", "y"), Message("user", "Why?")],
        {"role": "user", "content": [image, "Why?"]},
        {"role": "user", "content": [other, "Why?"]},
        {"role": "user", "content": ["Why?", image]},
    ]
    keys = {Question(stored, messages=one).key for one in conversations}
    keys.add(Question(stored, prompt="Why?").key)
    keys.add(Question(stored, messages="Why?", nth=1).key)
    assert len(keys) == len(conversations) + 2


def test_a_conversation_is_one_however_it_is_written(stored):
    keys = {
        Question(stored, messages="Why?").key,
        Question(stored, messages=Message("user", "Why?")).key,
        Question(stored, messages=[{"role": "user", "content": "Why?"}]).key,
    }
    assert len(keys) == 1
    messages = as_messages("Why?", system="be brief")
    given = {"system": "be brief"}
    one = Question(stored, messages=messages)
    assert one.key == Question(stored, messages="Why?", options=given).key


def test_the_model_is_in_the_key_by_every_part(stored):
    key = Question(stored, messages="Why?").key
    for changes in (
        {"digest": "sha256:" + "0" * 64},
        {"weights_digest": "sha256:" + "0" * 64},
        {"ref": stored.ref.__class__.parse("other:f16")},
    ):
        other = dataclasses.replace(stored, **changes)
        assert Question(other, messages="Why?").key != key


def test_versions_and_settings_are_in_the_key(stored, monkeypatch):
    keys = {Question(stored, messages="Why?").key}
    for name in ("LOCALKIT_MAX_TOKENS", "LOCALKIT_CONTEXT_LENGTH"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "77")
            settings.cache_clear()
            keys.add(Question(stored, messages="Why?").key)
    settings.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(questions, "__version__", "99")
        keys.add(Question(stored, messages="Why?").key)
    with monkeypatch.context() as patch:
        patch.setattr(questions, "_engine", lambda: "99")
        keys.add(Question(stored, messages="Why?").key)
    assert len(keys) == 5


def test_a_file_is_known_by_what_is_in_it(stored, tmp_path):
    here, there = tmp_path / "a.gguf", tmp_path / "b.gguf"
    for path in (here, there):
        path.write_bytes(b"some weights")

    def key(path: Path, scale: float = 1.0) -> str:
        options = {"adapters": [Adapter(path, scale)]}
        return Question(stored, messages="Why?", options=options).key

    assert key(here) == key(there)
    assert key(here, 0.5) != key(here)
    before = key(here)
    here.write_bytes(b"other weights")
    assert key(here) != before
    here.unlink()
    assert key(here) not in (before, key(there))


def test_a_key_is_the_same_in_another_process(stored):
    query = (
        "from localkit.history.question import _plain;"
        "print(_plain({'b': 1.5, 'a': {'x': [1, None]}}))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", query], capture_output=True, text=True, check=True
    )
    from localkit.history.question import _plain

    assert seen.stdout.strip() == str(_plain({"a": {"x": [1, None]}, "b": 1.5}))


def test_an_option_without_a_stable_form_has_no_key(stored):
    question = Question(stored, messages="Why?", options={"top_k": object()})
    with pytest.raises(TypeError, match="no stable form"):
        _ = question.key


def test_tools_that_can_be_looked_at_only_once_are_left_for_the_model(stored):
    tools = (one for one in [weather])
    question = Question(stored, messages="Why?", options={"tools": tools})
    with pytest.raises(TypeError, match="generator"):
        _ = question.key
    assert list(tools) == [weather]


def test_a_question_asks_one_thing(stored):
    for given in ({}, {"messages": "Why?", "prompt": "Why?"}):
        with pytest.raises(UsageError, match="one of them"):
            Question(stored, **given)


@pytest.mark.parametrize(
    ("options", "determined"),
    [
        ({}, False),
        ({"temperature": 0}, True),
        ({"temperature": 0.1}, False),
        ({"seed": 0}, True),
        ({"seed": None}, False),
        ({"params": SamplingParams(seed=4)}, True),
        ({"params": SamplingParams(seed=4), "seed": None}, False),
        ({"params": SamplingParams(temperature=0)}, True),
        ({"structure": ["yes"]}, True),
        ({"structure": ["yes", "no"]}, False),
        ({"structure": re.compile("a|b")}, False),
    ],
)
def test_an_answer_is_determined_by_seed_temperature_or_a_single_choice(
    stored, options, determined
):
    assert Question(stored, messages="Why?", options=options).determined is determined


def test_a_model_may_bring_a_seed_or_temperature_along(stored):
    for params in ({"seed": 3}, {"temperature": 0}):
        other = dataclasses.replace(stored)
        object.__setattr__(other, "params", params)
        other.__dict__["params"] = params
        assert Question(other, messages="Why?").determined
        given = {"params": SamplingParams()}
        assert not Question(other, messages="Why?", options=given).determined
