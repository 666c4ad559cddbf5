"""Messages as JSON: lossless, and the same text for the same message."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.chat.messages import Message
from localkit.chat.parts import PlacedImage
from localkit.chat.tools import ToolCall
from localkit.history.messages import (
    images_of,
    link,
    message_from_json,
    message_to_json,
)
from localkit.runtime.vision.images import Image

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner),
    max_leaves=5,
).filter(lambda value: value not in (float("inf"), float("-inf")))
CALL = st.builds(
    ToolCall,
    st.text(string.ascii_letters, min_size=1, max_size=9),
    st.dictionaries(TEXT, st.booleans() | st.integers() | TEXT | st.none()),
    TEXT,
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    content = draw(TEXT)
    if role == "assistant":
        calls = draw(st.lists(CALL, max_size=2))
        return Message(role, content, draw(TEXT), tuple(calls))
    if role == "tool":
        return Message(role, content, name=draw(TEXT), tool_call_id=draw(TEXT))
    if role == "user" and draw(st.booleans()):
        pixels = draw(st.binary(min_size=6, max_size=6))
        at = draw(st.integers(0, len(content)))
        return Message(role, content, images=(PlacedImage(at, Image(2, 1, pixels)),))
    return Message(role, content)


@given(messages())
@settings(max_examples=200, deadline=None)
def test_a_message_comes_back_as_it_went_in(message):
    text = message_to_json(message)
    again = message_from_json(text, images_of([message]))
    assert again == message
    assert message_to_json(again) == text
    for there, here in zip(again.tool_calls, message.tool_calls, strict=True):
        assert list(there.arguments) == list(here.arguments)


def test_what_a_message_does_not_have_is_left_out():
    text = message_to_json(Message("user", "hi"))
    assert text == '{"role":"user","content":"hi"}'


def test_the_hash_covers_the_parent_and_every_part_of_the_message():
    call = ToolCall("a", {"x": 1, "y": 2}, "id")
    image = Image(1, 1, b"abc")
    variants = [
        Message("user", "hi"),
        Message("user", "hi "),
        Message("system", "hi"),
        Message("assistant", "hi"),
        Message("assistant", "hi", "thought"),
        Message("assistant", "hi", tool_calls=(call,)),
        Message("assistant", "hi", tool_calls=(ToolCall("b", call.arguments, "id"),)),
        Message("assistant", "hi", tool_calls=(ToolCall("a", {"x": 2}, "id"),)),
        Message("assistant", "hi", tool_calls=(ToolCall("a", {"y": 2, "x": 1}, "id"),)),
        Message("assistant", "hi", tool_calls=(ToolCall("a", call.arguments),)),
        Message("tool", "hi"),
        Message("tool", "hi", name="a"),
        Message("tool", "hi", tool_call_id="a"),
        Message("user", "hi", images=(PlacedImage(0, image),)),
        Message("user", "hi", images=(PlacedImage(1, image),)),
        Message("user", "hi", images=(PlacedImage(0, Image(1, 1, b"abd")),)),
    ]
    texts = [message_to_json(one) for one in variants]
    digests = {link(None, text) for text in texts} | {link("0" * 64, texts[0])}
    assert len(digests) == len(variants) + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"role":"user"}',
        '{"role":"king","content":""}',
        '{"role":"user","content":1}',
        '{"role":"user","content":"a","more":1}',
        '{"role":"user","content":"a","images":[{"at":0,"digest":"../../x"}]}',
    ],
)
def test_a_message_that_somebody_wrote_otherwise_is_refused(text):
    with pytest.raises(ValueError, match="StoredMessage"):
        message_from_json(text, {})
