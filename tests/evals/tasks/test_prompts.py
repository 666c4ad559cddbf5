from __future__ import annotations

from dataclasses import replace

import pytest

from localkit.chat.messages import Message
from localkit.errors import DatasetInvalid
from localkit.evals.tasks.prompts import messages_of, text_of
from localkit.evals.tasks.task import Exchange, task_from_data

ROWS = [{"q": "2+2?", "a": "4"}, {"q": "1+1?", "a": "2"}]
TASK = task_from_data(
    "sums",
    ROWS,
    prompt="Q: {q}",
    target="a",
    system="Be short.",
    examples=[{"q": "3+3?", "a": "6"}],
)


def test_examples_are_turns_before_the_question() -> None:
    assert messages_of(TASK, TASK.samples[0]) == [
        Message("system", "Be short."),
        Message("user", "Q: 3+3?"),
        Message("assistant", "6"),
        Message("user", "Q: 2+2?"),
    ]


def test_raw_text_has_the_same_parts_blank_lines_apart() -> None:
    expected = "Be short.\n\nQ: 3+3? 6\n\nQ: 1+1?"
    assert text_of(TASK, TASK.samples[1]) == expected


def test_a_bare_task_asks_the_prompt_as_it_is() -> None:
    bare = replace(TASK, system="", examples=())
    assert text_of(bare, bare.samples[0]) == "Q: 2+2?"
    assert messages_of(bare, bare.samples[0]) == [Message("user", "Q: 2+2?")]


def test_another_prompt_form_is_filled_in_everywhere() -> None:
    messages = messages_of(
        TASK, TASK.samples[0], system="", prompt_form="What is {q} Only the number."
    )
    assert [message.content for message in messages] == [
        "What is 3+3? Only the number.",
        "6",
        "What is 2+2? Only the number.",
    ]


def test_a_form_that_asks_for_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(DatasetInvalid, match="sample 0 has no field 'x'") as caught:
        text_of(replace(TASK, examples=()), TASK.samples[0], prompt_form="{x}")
    assert caught.value.hint == "it has q, a"
    fixed = replace(TASK, examples=(Exchange("by hand", "6"),))
    with pytest.raises(DatasetInvalid, match="an example of sums has no field 'q'"):
        messages_of(fixed, TASK.samples[0], prompt_form="{q}")
