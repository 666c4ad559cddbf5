from __future__ import annotations

import json
from typing import Any

import pytest

from localkit.chat.tools import ToolCall
from localkit.evals.scorers.tool_call import ToolCalls
from tests.evals.scorers.judged import judged, worth


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments, "123456789")


WEATHER = json.dumps({"name": "weather", "arguments": {"city": "Paris", "days": 2}})
TWO = json.dumps(
    [
        {"name": "weather", "arguments": {"city": "Paris"}},
        {"function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
    ]
)


def test_name_and_arguments_must_be_those_of_the_target() -> None:
    right = call("weather", days=2.0, city="Paris")
    assert worth(ToolCalls(), "", WEATHER, calls=(right,)) == 1
    for wrong in (
        call("weather", city="Paris"),
        call("weather", city="Paris", days=3),
        call("weather", city="Paris", days=2, unit="C"),
        call("forecast", city="Paris", days=2),
        call("weather", city="paris", days=2),
    ):
        assert worth(ToolCalls(), "", WEATHER, calls=(wrong,)) == 0
    assert worth(ToolCalls(), "", WEATHER, calls=(right, right)) == 0
    folded = call("weather", city="paris", days=2)
    assert worth(ToolCalls(ignore_case=True), "", WEATHER, calls=(folded,)) == 1


def test_calls_count_in_any_order_unless_it_matters() -> None:
    calls = (call("weather", city="Rome"), call("weather", city="Paris"))
    assert worth(ToolCalls(), "", TWO, calls=calls) == 1
    assert worth(ToolCalls(ordered=True), "", TWO, calls=calls) == 0
    assert worth(ToolCalls(ordered=True), "", TWO, calls=calls[::-1]) == 1


def test_a_part_is_worth_a_part_when_asked() -> None:
    part = ToolCalls(partial=True)
    assert worth(part, "", WEATHER, calls=(call("weather", city="Paris"),)) == 0.75
    assert worth(part, "", WEATHER, calls=(call("other", city="Paris"),)) == 0
    assert worth(part, "", TWO, calls=(call("weather", city="Rome"),)) == 0.5


def test_no_call_may_be_the_right_one() -> None:
    assert worth(ToolCalls(), "It is sunny.", "[]") == 1
    assert worth(ToolCalls(), "", "[]", calls=(call("weather"),)) == 0
    assert judged(ToolCalls(), "It is sunny.", WEATHER).why == "no tool was called"


@pytest.mark.parametrize(
    "target", ["", "{", "3", "[3]", '{"name": 3}', '{"name": "x", "arguments": "no"}']
)
def test_E2_a_target_that_is_no_call_leaves_the_sample_unscored(target: str) -> None:
    score = judged(ToolCalls(), "", target)
    assert score.value is None
    assert score.why.startswith("the target is no tool call")
