from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from localkit import __version__
from localkit.chat.messages import as_messages
from localkit.chat.receipt import make_receipt
from localkit.chat.result import Result
from localkit.chat.tools import ToolCall
from localkit.events import Timings, Usage
from localkit.gguf import TypeShare
from localkit.runtime.protocol import SamplingParams
from tests.render.inspect_html import active_parts, characters_that_act
from tests.render.payloads import PAYLOADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.chat.receipt import Receipt
    from localkit.gguf import ModelInfo
    from localkit.runtime.fake import FakeSession
    from localkit.store import StoredModel


@pytest.fixture
def receipt(
    tiny_info: ModelInfo, fake_session: Callable[[str | None], FakeSession]
) -> Receipt:
    mix = [("q4_1", 7, 900, 950), ("f32", 2, 9, 49), ("f16", 1, 1, 1)]
    info = replace(
        tiny_info,
        quant="Q4_1",
        type_mix=tuple(TypeShare(*share) for share in mix),
        lossy_origin="Q4_0",
    )
    stored = SimpleNamespace(
        ref="tiny:q4_1", digest="sha256:aa", weights_digest="sha256:bb", info=info
    )
    return make_receipt(
        cast("StoredModel", stored),
        fake_session("x"),
        SamplingParams(temperature=0.0, seed=7),
        template_digest="sha256:cc",
    )


@pytest.fixture
def result(receipt: Receipt) -> Result:
    return Result(
        text="Hello **you**",
        tokens=(1, 2, 3),
        finish_reason="stop",
        usage=Usage(n_prompt=31, n_generated=3, n_reused=11),
        timings=Timings(prefill_s=0.1, decode_s=0.04, ttft_s=0.123),
        receipt=receipt,
        prompt="canary prompt",
        messages=as_messages("canary message"),
    )


def test_a_result_is_its_text(result: Result) -> None:
    assert str(result) == "Hello **you**"
    assert f"{result}" == result.text


def test_the_usage_line_names_every_phase(result: Result) -> None:
    assert result.usage_line() == (
        "prompt 31 tokens (11 reused) · prefill 200.0 tok/s · generated 3 tokens · "
        "decode 50.0 tok/s · TTFT 0.12 s · context 34/4096 · stop"
    )


def test_the_usage_line_leaves_out_what_was_not_measured(result: Result) -> None:
    short = replace(
        result,
        usage=Usage(n_prompt=5, n_generated=1),
        timings=Timings(prefill_s=0.0, decode_s=0.0, ttft_s=0.5),
        finish_reason="length",
    )
    assert short.usage_line() == (
        "prompt 5 tokens · generated 1 token · TTFT 0.50 s · context 6/4096 · length"
    )
    assert short.as_dict()["decode_per_s"] is None


def test_a_notebook_saves_the_answer_as_data_and_figures_as_metadata(
    result: Result,
) -> None:
    data, metadata = result._repr_mimebundle_()
    assert data == {
        "text/plain": "Hello **you**",
        "text/html": "<p>Hello <strong>you</strong></p>\n",
    }
    slower = replace(result, timings=Timings(9.0, 9.0, 9.0))
    assert slower._repr_mimebundle_()[0] == data
    figures = metadata["localkit"]
    assert json.dumps(figures, allow_nan=False)
    assert figures["n_prompt"] == 31
    assert figures["receipt"]["weights_digest"] == "sha256:bb"


def test_N1_there_is_no_markdown_for_a_front_end_to_run(result: Result) -> None:
    assert "text/markdown" not in result.bundle()[0]
    for payload in PAYLOADS.values():
        for markdown in (True, False):
            call = ToolCall("f", {"x": payload.encode(errors="replace").decode()})
            full = replace(result, text=payload, thinking=payload, tool_calls=(call,))
            data, _ = replace(full, notes=(payload,)).bundle(markdown=markdown)
            assert active_parts(data["text/html"]) == []
            assert characters_that_act(data["text/html"] + data["text/plain"]) == []


def test_thinking_is_folded_before_the_answer_and_calls_stand_behind_it(
    result: Result,
) -> None:
    call = ToolCall("f", {"city": "Paris", "days": 3})
    full = replace(result, thinking="Hm <b>.", tool_calls=(call,))
    data, metadata = full.bundle()
    assert data["text/html"].startswith("<details><summary>Thinking</summary><pre")
    assert "Hm &lt;b&gt;." in data["text/html"]
    assert "</details><p>Hello <strong>you</strong></p>" in data["text/html"]
    assert data["text/plain"] == (
        "[thinking]\nHm <b>.\n[answer]\nHello **you**\n→ f(city='Paris', days=3)"
    )
    assert metadata["localkit"]["n_tool_calls"] == 1
    assert str(full) == "Hello **you**"


def test_notes_of_the_runtime_stand_beside_how_the_answer_ended(result: Result) -> None:
    noted = replace(result, finish_reason="length", notes=("slow", "shifted"))
    assert noted.note.startswith("cut: the answer reached")
    assert noted.note.endswith("; slow; shifted")


def test_text_that_is_not_markdown_keeps_its_lines(result: Result) -> None:
    data, _ = replace(result, text="# a\n<b>").bundle(markdown=False)
    assert "# a\n&lt;b&gt;</pre>" in data["text/html"]


def test_an_interrupted_answer_says_so_wherever_it_is_shown(result: Result) -> None:
    cut = replace(result, finish_reason="interrupted")
    data, _ = cut._repr_mimebundle_()
    assert cut.partial
    assert str(cut) == result.text
    assert "[interrupted: the text ends where" in data["text/plain"]
    assert "[interrupted: the text ends where" in data["text/html"]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, ""),
        ({"finish_reason": "length"}, "token limit or the context is full"),
        ({"finish_reason": "length", "max_tokens_hit": 1024}, "cut at 1024 tokens"),
        ({"finish_reason": "error"}, "the runtime failed"),
    ],
)
def test_the_note_says_how_the_answer_ended(
    result: Result, changes: dict[str, str | int], note: str
) -> None:
    noted = replace(result, **changes).note  # type: ignore[arg-type]
    assert note in noted
    assert bool(note) == bool(noted)


def test_the_receipt_names_all_that_may_change_the_answer(result: Result) -> None:
    receipt = result.receipt.as_dict()
    assert receipt["ref"] == "tiny:q4_1"
    assert receipt["manifest_digest"] == "sha256:aa"
    assert receipt["template_digest"] == "sha256:cc"
    assert receipt["type_mix"] == "q4_1 95 %, f32 5 %"
    assert receipt["lossy_origin"] == "Q4_0"
    assert receipt["params"]["seed"] == 7
    assert receipt["runtime"]["engine"] == "fake"
    assert receipt["localkit"] == __version__


def test_a_frame_has_one_row_with_units_in_its_columns(result: Result) -> None:
    frame = result.to_frame()
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["decode_per_s"] == pytest.approx(50.0)
    assert row["text"] == result.text
    assert row["n_ctx"] == 4096


def test_L1_prompt_text_and_digests_stay_out_of_the_repr(result: Result) -> None:
    call = ToolCall("f", {"x": "canary argument"})
    result = replace(result, thinking="canary thought", tool_calls=(call,))
    shown = repr(result)
    assert "canary" not in shown
    assert "Hello" not in shown
    assert "finish_reason='stop'" in shown
    assert not any("canary" in part for part in json.dumps(result.as_dict()).split())
