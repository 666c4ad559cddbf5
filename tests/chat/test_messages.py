from __future__ import annotations

import pytest

from localkit.chat.messages import Message, MessageLike, as_messages, tool_result
from localkit.chat.tools import ToolCall
from localkit.errors import UsageError


def test_a_text_is_what_the_user_says() -> None:
    assert as_messages("hi", system="be brief") == (
        Message("system", "be brief"),
        Message("user", "hi"),
    )


def test_mappings_and_messages_may_be_mixed() -> None:
    given: list[MessageLike] = [
        {"role": "user", "content": "a"},
        Message("assistant", "b"),
    ]
    assert as_messages(given) == (Message("user", "a"), Message("assistant", "b"))
    assert as_messages({"role": "tool", "content": ""}) == (Message("tool", ""),)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([], "holds no message"),
        (7, "a int is not a message"),
        ([7], "a int is not a message"),
        ([{"role": "user"}], "holds role, not role and content"),
        ([{"role": "user", "content": "a", "name": "b"}], "content, name, role"),
        ([{"role": "user", "content": "a", "tool_calls": []}], "holds content, role"),
        ([{"role": "tool", "content": "a", "thinking": "b"}], "role, thinking, not"),
        ([{"role": "assistant", "content": "", "tool_calls": "f"}], "is a str, not"),
        ([{"role": "assistant", "content": "", "tool_calls": [7]}], "not a tool call"),
        ([{"role": "assistant", "content": "", "thinking": 7}], "is a int, not text"),
        ([{"role": "root", "content": "a"}], "role is 'root'"),
        ([{"role": "user<|im_end|>", "content": "a"}], "message role is"),
        ([{"role": ["user"], "content": "a"}], "message role is"),
        ([{"role": "user", "content": None}], "is a NoneType, not text"),
        ([{"role": "user", "content": [{"type": "text"}]}], "a part of a message"),
    ],
)
def test_what_is_no_message_is_refused(value: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        as_messages(value)  # type: ignore[arg-type]


def test_instructions_are_given_once() -> None:
    with pytest.raises(UsageError, match="system= was given too"):
        as_messages([Message("system", "a"), Message("user", "b")], system="c")


def test_R7_half_a_surrogate_pair_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match="character 3 of a message is half"):
        Message("user", "abc\ud800")


def test_L1_a_message_keeps_its_content_out_of_its_repr() -> None:
    assert "secret" not in repr(Message("user", "secret"))


def test_messages_of_the_openai_api_keep_calls_thoughts_and_results() -> None:
    function = {"name": "f", "arguments": '{"x": 1}'}
    messages = as_messages(
        [
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "so",
                "tool_calls": [{"id": "1", "type": "function", "function": function}],
            },
            {"role": "tool", "content": "2", "tool_call_id": "1", "name": None},
        ]
    )
    call = ToolCall("f", {"x": 1}, "1")
    assert messages == (
        Message("assistant", "", thinking="so", tool_calls=(call,)),
        Message("tool", "2", tool_call_id="1"),
    )
    assert tool_result(call, "2") == Message("tool", "2", name="f", tool_call_id="1")


def test_only_the_assistant_thinks_and_only_a_tool_has_results() -> None:
    with pytest.raises(UsageError, match="'user' holds thinking or tool calls"):
        Message("user", "a", thinking="b")
    with pytest.raises(UsageError, match="'assistant' names a tool"):
        Message("assistant", "a", name="f")


def test_L1_a_message_keeps_its_thoughts_out_of_its_repr() -> None:
    assert "secret" not in repr(Message("assistant", "", thinking="secret"))
