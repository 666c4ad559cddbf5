from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.chat.messages import Message
from localkit.creating import create
from localkit.errors import Cancelled, ContextTooLong
from localkit.evals.subjects.local import LocalSubject
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Task
from localkit.events import CancelToken
from localkit.kit import Kit, set_default
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import LoadParams, SamplingParams

if TYPE_CHECKING:
    from pathlib import Path

GREEDY = SamplingParams(temperature=0, max_tokens=8, seed=3)
HELLO = [Message("user", "hello")]


@pytest.fixture
def kit(tiny_gguf: Path):
    kit = Kit(runtime=FakeRuntime(replies=["one two", "three"]))
    kit.store.add(tiny_gguf, "tiny:f16")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


@pytest.fixture
def session(kit):
    with_stored = kit.load_apart(kit.resolve("tiny:f16"), LoadParams(n_ctx=256))
    yield with_stored
    with_stored.close()


@pytest.fixture
def subject(kit, session) -> LocalSubject:
    return LocalSubject(kit.resolve("tiny:f16"), session)


def test_an_answer_comes_with_its_figures(subject):
    answer = subject.chat(HELLO, GREEDY)
    assert answer.text == "one two"
    assert answer.finish_reason == "stop"
    assert answer.n_prompt > 5
    assert answer.n_generated == 8
    assert answer.ttft_s > 0
    assert answer.total_s > 0


def test_a_cut_answer_says_so(subject):
    short = SamplingParams(temperature=0, max_tokens=3)
    answer = subject.chat(HELLO, short)
    assert (answer.text, answer.finish_reason) == ("one", "length")
    assert "cut" in answer.notes[0]


def test_raw_text_is_continued_without_a_template(subject):
    assert subject.complete("Once", GREEDY).n_prompt == len("Once") + 1


def test_another_template_takes_the_place_of_the_models(kit, session):
    bare = "{% for m in messages %}{{ m.content }}{% endfor %}"
    subject = LocalSubject(kit.resolve("tiny:f16"), session, template=bare)
    assert subject.chat(HELLO, GREEDY).n_prompt == len("hello") + 1  # BOS


def test_what_the_model_brings_along_changes_nothing(kit, session):
    plain = LocalSubject(kit.resolve("tiny:f16"), session).chat(HELLO, GREEDY)
    create(
        "tiny:pirate",
        "tiny:f16",
        system="You are a pirate.",
        parameters={"temperature": 2.0, "num_predict": 1},
        messages=[{"role": "user", "content": "hi"}],
    )
    pirate = LocalSubject(kit.resolve("tiny:pirate"), session)
    answer = pirate.chat(HELLO, GREEDY)
    assert answer.n_prompt == plain.n_prompt
    assert answer.text == "three"
    asked = kit.runtime.loaded[-1].asked
    assert asked[-1] == asked[-2] == GREEDY


def test_choices_are_scored_and_texts_embedded(subject):
    sample = Sample(id="a", prompt="x", choices=("yes", "no"), gold=1)
    task = Task(name="t", samples=(sample,))
    score = subject.choose(task, sample)
    assert (score.gold, len(score.choices)) == (1, 2)
    vectors = subject.embed(["a", "b c"])
    assert vectors.shape[0] == 2
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_stopping_raises_and_gives_no_part_of_an_answer(subject):
    stop = CancelToken()
    stop.cancel()
    with pytest.raises(Cancelled):
        subject.chat(HELLO, GREEDY, cancel=stop)


def test_a_question_that_is_too_long_is_refused(subject):
    with pytest.raises(ContextTooLong):
        subject.chat([Message("user", "x" * 400)], GREEDY)


def test_the_cell_of_an_answer_depends_on_the_context(subject):
    assert subject.environment["n_ctx"] == 256
    assert "n_threads" not in subject.environment
    assert subject.digest == subject.stored.weights_digest
    assert subject.label == "tiny:f16"
