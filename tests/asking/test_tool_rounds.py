"""The loop that runs a model's calls."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from localkit.asking.tool_rounds import Called, Rounds, as_text, run_rounds
from localkit.chat.result import Result
from localkit.errors import UsageError
from localkit.runtime.params import LoadParams
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime


class Unit(enum.Enum):
    C = "c"
    F = "f"


class Place(BaseModel):
    city: str


CALLS: list[tuple[object, ...]] = []


def multiply(a: int, b: int = 2) -> int:
    """Multiply two numbers.

    Args:
        a: The first.
        b: The second.
    """
    CALLS.append((a, b))
    return a * b


def weather(place: Place, unit: Unit = Unit.C) -> dict[str, str]:
    """Tell the weather of a place."""
    CALLS.append((place, unit))
    return {"city": place.city, "unit": unit.value}


def broken(a: int) -> int:
    """Fail."""
    raise ZeroDivisionError(f"no {a}")


@pytest.fixture
def kit(tiny_gguf: Path, runtime: FakeRuntime) -> Iterator[Kit]:
    with fake_kit(tiny_gguf, runtime=runtime) as kit:
        yield kit


@pytest.fixture(autouse=True)
def _no_calls_yet() -> None:
    CALLS.clear()


def call(name: str, **arguments: Any) -> str:
    written = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{written}\n</tool_call>"


def ask(kit: Kit, *tools: Any, **options: Any) -> Result:
    return run_rounds(
        kit.load(MODEL, LoadParams(n_ctx=4096)),
        "17 * 23?",
        tools,
        tool_prompt=True,
        **options,
    )


def test_a_call_is_run_and_its_value_goes_back_to_the_model(
    kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = [call("multiply", a=17, b=23), "It is 391."]
    steps: list[Result | Called] = []
    result = ask(kit, multiply, on_step=steps.append)
    assert CALLS == [(17, 23)]
    assert result.text == "It is 391."
    assert [type(step) for step in steps] == [Result, Called, Result]
    roles = [message.role for message in result.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert result.messages[2].content == "391"
    assert result.messages[2].name == "multiply"
    assert "1 call run in 1 round" in result.note


def test_without_a_call_it_is_an_ordinary_answer(
    kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = ["Hello."]
    result = ask(kit, multiply)
    assert (result.text, CALLS) == ("Hello.", [])
    assert "round" not in result.note


def test_arguments_are_converted_as_they_are_annotated(
    kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = [call("weather", place={"city": "Bonn"}, unit="f"), "Fine."]
    ask(kit, weather)
    assert [(Place(city="Bonn"), Unit.F)] == CALLS


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (call("multiply", a="many"), "do not fit: a:"),
        (call("multiply"), "a: Field required"),
        (call("multiply", a=1, c=3), "has no argument 'c'"),
    ],
)
def test_arguments_that_do_not_fit_reach_the_model_and_not_the_function(
    kit: Kit, runtime: FakeRuntime, written: str, says: str
) -> None:
    runtime.replies = [written, "Sorry."]
    result = ask(kit, multiply)
    assert CALLS == []
    assert result.messages[2].role == "tool"
    assert result.messages[2].content.startswith("error: ")
    assert says in result.messages[2].content


def test_an_exception_goes_back_as_text(kit: Kit, runtime: FakeRuntime) -> None:
    runtime.replies = [call("broken", a=4), "Sorry."]
    steps = list(
        Rounds(kit.load(MODEL, LoadParams(n_ctx=4096)), "x", [broken], tool_prompt=True)
    )
    called = steps[1]
    assert isinstance(called, Called)
    assert called.failed
    assert called.text == "error: ZeroDivisionError: no 4"


def test_rounds_are_bounded_and_the_last_calls_are_not_run(
    kit: Kit, runtime: FakeRuntime
) -> None:
    runtime.replies = [call("multiply", a=n) for n in range(9)]
    result = ask(kit, multiply, max_rounds=3)
    assert CALLS == [(0, 2), (1, 2), (2, 2)]
    assert len(result.tool_calls) == 1
    assert "stopped after 3 rounds" in result.note


def test_R4_ctrl_c_in_a_tool_ends_the_rounds_and_keeps_what_was_said(
    kit: Kit, runtime: FakeRuntime
) -> None:
    def slow(a: int) -> int:
        """Take long."""
        raise KeyboardInterrupt

    runtime.replies = [call("slow", a=1), "Never said."]
    result = ask(kit, slow)
    assert result.finish_reason == "interrupted"
    assert "slow was stopped" in result.note
    assert [message.role for message in result.messages] == ["user", "assistant"]


def test_only_plain_functions_can_be_run(kit: Kit) -> None:
    async def later() -> None:
        """Come later."""

    offered = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    for tool in (offered, later, 5):
        with pytest.raises(UsageError):
            ask(kit, tool)
    with pytest.raises(UsageError, match="max_rounds is 0"):
        ask(kit, multiply, max_rounds=0)


def test_N1_what_a_tool_returns_can_always_be_sent() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert as_text("\x1b[2Jtext") == "text"
    assert as_text({"a": [1, 2.5, None]}) == '{"a": [1, 2.5, null]}'
    assert as_text(Place(city="Bonn")) == '{"city": "Bonn"}'
    assert as_text("half \ud800") == "half �"
    assert as_text(["half \ud800"]) == '["half �"]'
    assert as_text(loop)
    assert as_text({(1, 2): 3})
