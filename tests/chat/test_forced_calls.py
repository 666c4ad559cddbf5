"""Calls forced from the real model at temperature 1: each is read as one call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from localkit.chat.answering import Prepared, prepare
from localkit.chat.messages import as_messages
from localkit.chat.tools import as_tools
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams
from tests.chat import templates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.chat.answering import Answer
    from localkit.runtime.protocol import Session

pytestmark = pytest.mark.model
ASKED = as_messages("What is the weather in Paris?")


def get_weather(
    days: int, unit: Literal["c", "f"] = "c", *, hourly: bool = False
) -> None:
    """Tell the weather of a city."""


def send_mail(to: Literal["me", "you"], urgent: bool) -> None:
    """Send a mail."""


TOOLS = as_tools([get_weather, send_mail])


@pytest.fixture(scope="module", params=["", "CODER", "MISTRAL"])
def session(request: pytest.FixtureRequest, smollm2_gguf: Path) -> Iterator[Session]:
    """Yield the real model: as it is, and with templates of two other families."""
    info = read_info(smollm2_gguf)
    if request.param:
        info = replace(info, chat_template=getattr(templates, request.param))
    session = LlamaRuntime().load(info, LoadParams(n_ctx=1024, n_threads=1))
    yield session
    session.close()


def _answer(session: Session, prepared: Prepared, seed: int) -> Answer:
    params = SamplingParams(
        temperature=1.0, seed=seed, max_tokens=100, structure=prepared.structure
    )
    reader = prepared.reader()
    stream = session.stream(prepared.tokens, params)
    for piece in stream:
        reader.add(piece)
    return reader.finish(stream.generation.finish_reason)


@pytest.mark.parametrize("choice", ["required", "send_mail"])
def test_every_forced_call_is_whole_and_of_a_tool_that_was_offered(
    session: Session, choice: str
) -> None:
    prepared = prepare(
        session, ASKED, tools=TOOLS, tool_choice=choice, tool_prompt=True
    )
    for seed in range(3):
        answer = _answer(session, prepared, seed)
        assert answer.finish_reason == "tool_calls"
        assert answer.text == ""
        assert not answer.notes
        (call,) = answer.tool_calls
        assert call.name in ("send_mail", "get_weather")
        if call.name == "send_mail":
            assert set(call.arguments) == {"to", "urgent"}
            assert call.arguments["to"] in ("me", "you")
        else:
            assert choice == "required"
            assert isinstance(call.arguments["days"], int)
            assert set(call.arguments) <= {"days", "unit", "hourly"}
