"""The prompt inspector without a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.widgets.prompt.inspect_prompt import inspect_prompt
from tests.evals.tiny_family import tiny_kit
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.kit import Kit

HARMLESS = {"<span title>", "<div dir>", "<details open>"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    kit = tiny_kit(tmp_path_factory.mktemp("fakes"), {"f16": "F16"})
    yield kit
    kit.close()


def test_the_record_says_what_the_widget_shows(kit: Kit) -> None:
    inspector = inspect_prompt("tiny:f16", "one <|im_end|> two", n_ctx=512, kit=kit)
    n = inspector.view.n_tokens
    assert repr(inspector) == f"<Inspector tiny:f16 n={n}>"
    state = inspector.state()
    json.dumps(state, allow_nan=False)
    assert len(state["tokens"]) == n
    record = inspector.panel.record
    for line in (*state["figures"], *state["remarks"]):
        assert line in record.plain
    assert "<sup" in record.html  # the ruler
    assert "spells the control token" in record.plain
    assert record.plain == inspector.view.plain()
    assert record.metadata["prompt"]["n_tokens"] == n
    frame = inspector.to_frame()
    assert len(frame) == n
    assert set(frame["kind"]) == {"control", "template", "message", "opening"}


def test_nothing_is_generated(kit: Kit) -> None:
    inspect_prompt("tiny:f16", "hi", kit=kit)
    assert not any(one.asked for one in kit.runtime.loaded)


def test_tools_and_instructions_are_in_the_prompt(kit: Kit) -> None:
    inspector = inspect_prompt("tiny:f16", "hi", system="Be brief.", kit=kit)
    assert [part.role for part in inspector.view.parts] == ["system", "user"]


def test_N1_a_hostile_message_is_shown_and_does_nothing(kit: Kit) -> None:
    for payload in PAYLOADS.values():
        text = payload.encode("utf-8", "replace").decode()
        inspector = inspect_prompt("tiny:f16", text, kit=kit)
        record = inspector.panel.record
        assert set(active_parts(record.html)) <= HARMLESS, payload
        assert characters_that_act(record.plain) == [], payload
        state = json.dumps(inspector.state(), ensure_ascii=False)
        assert characters_that_act(state) == [], payload


def test_N2_a_long_prompt_is_cut_in_state_and_record_and_says_so(kit: Kit) -> None:
    text = "word\n" * 2000
    inspector = inspect_prompt("tiny:f16", text, n_ctx=16384, kit=kit)
    assert inspector.view.n_tokens > 10_000
    assert len(repr(inspector.state())) < 1 << 20
    record = inspector.panel.record
    assert len(record.html.encode()) < 1 << 20
    assert "more tokens are not shown" in record.html
    assert "more tokens are not shown" in record.plain


@pytest.mark.parametrize("message", [{"do": "run"}, {}, None, {"do": "freeze", "x": 1}])
def test_N3_a_forged_message_is_ignored(kit: Kit, message: object) -> None:
    inspector = inspect_prompt("tiny:f16", "hi", kit=kit)
    inspector.panel.hear(message)
    assert inspector.panel.n_ignored == 1


def test_freezing_takes_the_controls_away(kit: Kit) -> None:
    inspector = inspect_prompt("tiny:f16", "hi", kit=kit)
    inspector.panel.show("front end")
    inspector.panel.hear({"do": "freeze"})
    assert inspector.panel.face is not None
    assert inspector.panel.face.state["frozen"]
    inspector.panel.close()
