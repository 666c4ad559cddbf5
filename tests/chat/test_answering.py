from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.chat.answering import prepare
from localkit.chat.messages import Message, as_messages, tool_result
from localkit.chat.tools import Tool, ToolCall, as_tools
from localkit.errors import TemplateError, UsageError
from tests.chat import templates
from tests.chat.conversing import cuts, read
from tests.fixtures.gguf import CHATML

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.fake import FakeSession

    MakeSession = Callable[[str | None], FakeSession]


def get_weather(city: str) -> None:
    """Tell the weather."""


TOOLS = as_tools([get_weather])
ASKED = as_messages("Weather in Paris?")
CALL = (
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
)
THOUGHT = "<think>\nParis, then.\n</think>\n\n"


def test_thinking_text_and_call_are_told_apart_while_they_stream(
    fake_session: MakeSession,
) -> None:
    prepared = prepare(fake_session(templates.QWEN3), ASKED, tools=TOOLS)
    assert '"description": "Tell the weather."' in prepared.text
    for sizes in ([], [1], [3], [11]):
        shown, answer = read(prepared, cuts(f"{THOUGHT}I look.\n\n{CALL}", sizes))
        assert answer.thinking == "Paris, then."
        assert answer.text == "I look."
        assert "<" not in "".join(shown)
        assert answer.tool_calls[0].arguments == {"city": "Paris"}
        assert answer.finish_reason == "tool_calls"
        assert answer.notes == ()
    assert answer.message.tool_calls == answer.tool_calls
    assert answer.message.thinking == answer.thinking


def test_text_that_only_looks_like_a_call_comes_at_once_or_at_the_end(
    fake_session: MakeSession,
) -> None:
    prepared = prepare(fake_session(templates.QWEN3), ASKED, tools=TOOLS)
    shown, answer = read(prepared, ["a <tool", "box> ", "b <tool_ca"])
    assert shown == ["a", " <toolbox>", " b", " <tool_ca"]
    assert (answer.tool_calls, answer.finish_reason) == ((), "stop")
    _, broken = read(prepared, ["Look: <tool_call>{", "oops"])
    assert broken.text == "Look: <tool_call>{oops"
    assert "could not be read" in broken.notes[0]


def test_without_tools_no_text_is_a_call(fake_session: MakeSession) -> None:
    session = fake_session(templates.QWEN3)
    for prepared in (
        prepare(session, ASKED),
        prepare(session, ASKED, tools=TOOLS, tool_choice="none"),
    ):
        shown, answer = read(prepared, [CALL])
        assert shown[0] == answer.text == CALL
        assert "get_weather" not in prepared.text


def test_a_model_without_thinking_or_tools_is_read_as_it_is(
    fake_session: MakeSession,
) -> None:
    prepared = prepare(fake_session(CHATML), ASKED)
    pieces = [" <think>a", "</think>\n", " b <tool_call> "]
    shown, answer = read(prepared, pieces)
    assert shown[:-1] == pieces
    assert answer.text == "".join(pieces)


def test_a_conversation_with_calls_and_results_is_replayed(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.QWEN3)
    _, answer = read(prepare(session, ASKED, tools=TOOLS), [THOUGHT + CALL])
    talk = [*ASKED, answer.message, tool_result(answer.tool_calls[0], "21 °C")]
    text = prepare(session, talk, tools=TOOLS).text
    assert f"assistant\n<think>\nParis, then.\n</think>\n{CALL}<|im_end|>" in text
    assert "user\n<tool_response>\n21 °C\n</tool_response><|im_end|>" in text


@pytest.mark.parametrize("template", ["QWEN3", "STRINGS", "REPR", "NONE_FIRST"])
def test_calls_are_given_as_the_template_wants_them(
    template: str, fake_session: MakeSession
) -> None:
    session = fake_session(getattr(templates, template))
    _, answer = read(prepare(session, ASKED, tools=TOOLS), [CALL])
    text = prepare(session, [*ASKED, answer.message], tools=TOOLS).text
    assert '"arguments": {"city": "Paris"}}' in text


def test_thinking_is_switched_where_the_template_has_a_switch(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.QWEN3)
    off = prepare(session, ASKED, think=False)
    assert off.text.endswith("<think>\n\n</think>\n\n")
    assert off.notes == ()
    assert prepare(session, ASKED, think=True).text.endswith("assistant\n")
    without = prepare(fake_session(templates.R1), ASKED, think=False)
    assert "no switch for thinking" in without.notes[0]


def test_a_prompt_may_end_inside_thinking(fake_session: MakeSession) -> None:
    prepared = prepare(fake_session(templates.R1), ASKED)
    _, answer = read(prepared, ["Hm", "m.\n</thi", "nk>\n\nYes."])
    assert (answer.thinking, answer.text) == ("Hmm.", "Yes.")
    reader = prepared.reader()
    reader.finish("interrupted")
    cut = prepared.reader().finish("length")
    assert cut.finish_reason == "length"
    assert "has not answered yet" in cut.notes[0]


def test_an_answer_of_a_fixed_form_is_not_read_as_thinking(
    fake_session: MakeSession,
) -> None:
    prepared = prepare(fake_session(templates.R1), ASKED, structured=True)
    assert prepared.text.endswith("<think>\n\n</think>\n\n")
    assert prepared.notes == (
        "thinking is off: an answer of a fixed form begins at once",
    )
    _, answer = read(prepared, ['{"a"', ": 1}"])
    assert (answer.thinking, answer.text) == ("", '{"a": 1}')
    silent = prepare(fake_session(templates.QWEN3), ASKED, structured=True)
    assert silent.text.endswith("<think>\n\n</think>\n\n")
    channels = prepare(fake_session(templates.GPT_OSS), ASKED, structured=True)
    assert channels.text.endswith("<|start|>assistant<|channel|>final<|message|>")
    assert read(channels, ["{}"])[1].text == "{}"


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_a_call_is_forced_in_the_manner_of_the_family(
    choice: str, fake_session: MakeSession
) -> None:
    session = fake_session(templates.QWEN3)
    tools = [*TOOLS, Tool("now")]
    prepared = prepare(session, ASKED, tools=tools, tool_choice=choice)
    assert prepared.text.endswith("</think>\n\n<tool_call>\n")
    assert prepared.structure is not None
    assert prepared.structure.kind == "json_schema"
    assert ("now" in prepared.structure.text) == (choice == "required")
    _, answer = read(
        prepared, ['{"name": "get_weather", ', '"arguments": {"city": "P"}}']
    )
    assert answer.tool_calls[0].arguments == {"city": "P"}
    assert answer.text == ""
    assert answer.finish_reason == "tool_calls"


def test_gpt_oss_calls_thinks_and_answers_in_channels(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.GPT_OSS)
    session.control_tokens = {
        "<|channel|>": 258,
        "<|message|>": 259,
        "<|end|>": 257,
        "<|start|>": 256,
    }
    prepared = prepare(session, ASKED, tools=TOOLS)
    thinks: list[str | int] = [258, "analysis", 259, "Hm.", 257, 256, "assistant"]
    _, answer = read(prepared, [*thinks, 258, "final", 259, "So."])
    assert (answer.thinking, answer.text) == ("Hm.", "So.")
    calls: list[str | int] = [
        " to=functions.get_weather",
        258,
        "commentary json",
        259,
        '{"city": "P"}',
    ]
    _, answer = read(prepared, [*thinks, *calls])
    assert answer.tool_calls[0].arguments == {"city": "P"}
    forced = prepare(session, ASKED, tools=TOOLS, tool_choice="required")
    _, answer = read(forced, ['{"city": "P"}'])
    assert answer.tool_calls[0].arguments == {"city": "P"}


def test_control_tokens_that_no_text_shows_are_read_by_their_ids(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.MISTRAL)
    session.control_tokens = {**session.control_tokens, "[TOOL_CALLS]": 259}
    prepared = prepare(session, ASKED, tools=TOOLS)
    _, answer = read(prepared, ["Well. ", 259, '[{"name": "get_weather"}]'])
    assert answer.text == "Well."
    assert answer.tool_calls[0].name == "get_weather"
    forced = prepare(session, ASKED, tools=TOOLS, tool_choice="required")
    assert forced.text.endswith("[TOOL_CALLS]")
    assert read(prepare(session, ASKED), ["a", 258, "b"])[1].text == "ab"


def test_llama_3_calls_without_any_mark(fake_session: MakeSession) -> None:
    prepared = prepare(fake_session(templates.LLAMA3), ASKED, tools=TOOLS)
    text = '{"name": "get_weather", "parameters": {"city": "P"}}'
    for sizes in ([], [1], [5]):
        shown, answer = read(prepared, cuts(text, sizes))
        assert answer.tool_calls[0].arguments == {"city": "P"}
        assert "".join(shown) == ""
    assert read(prepared, ['{"x": 1}'])[1].text == '{"x": 1}'
    assert read(prepared, ["Say ", '{"x": 1}'])[0][:2] == ["Say", ' {"x": 1}']


def test_tools_are_described_only_on_request_where_the_template_knows_none(
    fake_session: MakeSession,
) -> None:
    session = fake_session(CHATML)
    with pytest.raises(TemplateError, match="knows no tools") as caught:
        prepare(session, ASKED, tools=TOOLS)
    assert "tool_prompt=True" in caught.value.hint
    prepared = prepare(session, ASKED, tools=TOOLS, tool_prompt=True)
    assert "the system message describes them" in prepared.notes[0]
    _, answer = read(prepared, [f"Well.\n{CALL}"])
    talk = as_messages(
        [*ASKED, answer.message, tool_result(answer.tool_calls[0], "21")]
    )
    text = prepare(session, talk, tools=TOOLS, tool_prompt=True).text
    assert text.startswith("<s><|im_start|>system\n# Tools") or "# Tools" in text
    assert f"assistant\nWell.\n{CALL}<|im_end|>" in text
    assert "user\n<tool_response>\n21\n</tool_response><|im_end|>" in text
    own = as_messages("x", system="Be brief.")
    text = prepare(session, own, tools=TOOLS, tool_prompt=True).text
    assert "system\nBe brief.\n\n# Tools" in text


def test_calls_that_could_not_be_read_are_not_asked_for(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.UNKNOWN_CALLS)
    assert prepare(session, ASKED).notes == ()
    with pytest.raises(TemplateError, match="not known how this model calls"):
        prepare(session, ASKED, tools=TOOLS)
    prepared = prepare(session, ASKED, tools=TOOLS, tool_prompt=True)
    assert prepared.text.count("# Tools") == 1
    assert read(prepared, [CALL])[1].tool_calls[0].name == "get_weather"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tool_choice": "required"}, "but there are no tools"),
        ({"tool_choice": "rm", "tools": TOOLS}, "'rm', which is no tool"),
        (
            {"tool_choice": "required", "tools": TOOLS, "structured": True},
            "and of another form too",
        ),
        ({"think": True, "structured": True}, "but think is True"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, object], complaint: str, fake_session: MakeSession
) -> None:
    with pytest.raises(UsageError, match=complaint):
        prepare(fake_session(templates.QWEN3), ASKED, **options)  # type: ignore[arg-type]


def test_a_call_of_an_earlier_turn_may_be_of_a_tool_that_is_gone(
    fake_session: MakeSession,
) -> None:
    session = fake_session(templates.QWEN3)
    (asked,) = ASKED
    call = ToolCall("gone", {"x": [1]}, "000000000")
    reply = Message("assistant", "a", tool_calls=(call,))
    text = prepare(session, [asked, reply, tool_result(reply.tool_calls[0], "b")]).text
    assert '{"name": "gone", "arguments": {"x": [1]}}' in text


def test_a_template_that_drops_calls_is_noted(fake_session: MakeSession) -> None:
    session = fake_session(templates.QWEN3.replace("m.tool_calls", "m.calls"))
    call = ToolCall("get_weather", {"city": "P"})
    talk = [*ASKED, Message("assistant", "", tool_calls=(call,))]
    prepared = prepare(session, talk, tools=TOOLS)
    assert "drops calls of earlier turns" in prepared.notes[0]
    assert prepare(fake_session(templates.QWEN3), talk, tools=TOOLS).notes == ()
