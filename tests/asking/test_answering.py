"""One question: options, streams, what stops it, what the result holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.asking.answering import Answering
from localkit.errors import (
    UsageError,
)
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import LoadParams, SamplingParams
from tests.fixtures.asking import GREEDY, weather
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.model import Model


def test_a_stream_yields_the_text_and_has_the_result_then(llama: Model) -> None:
    stream = llama.generate("hello world", stream=True, params=GREEDY)
    texts = list(stream)
    assert all(texts)
    assert "".join(texts) == stream.result.text
    assert stream.result.finish_reason == "length"
    assert list(stream) == []


def test_a_stream_can_be_waited_for_without_reading_it(llama: Model) -> None:
    waited = llama.generate("hello", stream=True, params=GREEDY).result
    assert waited.text == llama.generate("hello", params=GREEDY).text


def test_a_stream_left_early_stops_and_keeps_what_was_said(llama: Model) -> None:
    stream = llama.generate("hello", stream=True, temperature=0, max_tokens=400)
    first = next(stream)
    stream.close()
    assert stream.result.partial
    assert stream.result.text.startswith(first)
    assert stream.result.usage.n_generated < 400
    assert llama.generate("hello", params=GREEDY).finish_reason == "length"


def test_options_are_sampling_params_and_go_over_those_given(model: Model) -> None:
    result = model.generate(
        "a",
        params=SamplingParams(temperature=0, seed=3, max_tokens=50),
        max_tokens=4,
        stop="\x00",
        top_k=7,
        logit_bias={65: -1.0},
    )
    used = result.receipt.params
    assert (used.temperature, used.max_tokens, used.top_k) == (0, 4, 7)
    assert used.stop == ("\x00",)
    assert used.logit_bias == ((65, -1.0),)


def test_an_option_that_does_not_exist_names_the_nearest(model: Model) -> None:
    with pytest.raises(UsageError, match="no option 'temprature'") as caught:
        model.generate("a", temprature=0.1)  # type: ignore[call-overload]
    assert "temperature" in caught.value.hint


def test_an_answer_cut_by_the_settings_says_so_and_one_cut_by_the_call_does_not(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from localkit.config import settings

    monkeypatch.setenv("LOCALKIT_MAX_TOKENS", "5")
    settings.cache_clear()
    assert model.generate("a", temperature=0).max_tokens_hit == 5
    assert model.generate("a", temperature=0, max_tokens=5).max_tokens_hit is None


def test_a_choice_given_as_a_list_is_what_the_answer_is_one_of(llama: Model) -> None:
    for seed in range(3):
        result = llama.generate(
            "hello", structure=["yes", "no"], seed=seed, max_tokens=20, temperature=1.5
        )
        assert result.text in ("yes", "no")


def test_a_regex_is_a_structure_too(llama: Model) -> None:
    form = re.compile("[0-9]{3}-[a-c]{2}")
    result = llama.generate("hello", structure=form, max_tokens=20)
    assert form.fullmatch(result.text)


def test_logprobs_are_in_the_result_where_asked(llama: Model) -> None:
    result = llama.generate("hello", top_logprobs=2, params=GREEDY)
    assert len(result.logprobs) == len(result.tokens)
    first = result.logprobs[0]
    token, logprob = first.top[0]
    assert token == result.tokens[0]
    assert logprob == pytest.approx(first.logprob)
    assert not llama.generate("hello", params=GREEDY).logprobs


def test_prompt_logprobs_are_in_the_result_where_asked(llama: Model) -> None:
    result = llama.generate("hello you", prompt_logprobs=1, params=GREEDY)
    tokens = [one.token for one in result.prompt_logprobs]
    assert tokens == llama.tokenize("hello you")[1:]
    assert all(one.logprob <= one.top[0][1] for one in result.prompt_logprobs)
    assert not llama.generate("hello you", params=GREEDY).prompt_logprobs


def test_on_text_gets_the_text_and_is_refused_for_several(model: Model) -> None:
    heard: list[str] = []
    result = model.generate("a", params=GREEDY, on_text=heard.append)
    assert "".join(heard) == result.text
    with pytest.raises(UsageError, match="several answers"):
        model.generate(["a", "b"], on_text=heard.append)


def test_ctrl_c_ends_the_answer_and_keeps_what_was_said(
    model: Model, runtime: FakeRuntime
) -> None:
    def interrupt(index: int) -> None:
        if index == 3:
            raise KeyboardInterrupt

    runtime.before_token = interrupt
    result = model.generate("a", temperature=0, max_tokens=9)
    assert result.usage.n_generated == 3
    assert result.partial


def test_ctrl_c_in_on_text_ends_the_answer_too(llama: Model) -> None:
    heard: list[str] = []

    def interrupt(text: str) -> None:
        heard.append(text)
        raise KeyboardInterrupt

    result = llama.generate("hello", temperature=0, max_tokens=400, on_text=interrupt)
    assert result.partial
    assert result.text.startswith(heard[0])


def test_a_stream_is_an_answering(model: Model) -> None:
    assert isinstance(model.chat("hi", stream=True, params=GREEDY), Answering)


def test_tools_are_offered_and_calls_read(
    tiny_gguf: Path,
) -> None:
    call = (
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    )
    with fake_kit(tiny_gguf, runtime=FakeRuntime(replies=[call] * 2)) as kit:
        told = kit.load(MODEL, LoadParams(n_ctx=2048))
        result = told.chat("Rain in Oslo?", tools=[weather], tool_prompt=True)
        assert [one.name for one in result.tool_calls] == ["weather"]
        assert result.tool_calls[0].arguments == {"city": "Oslo"}
        assert result.finish_reason == "tool_calls"
        assert "describes them" in result.note
        assert result.messages[-1].tool_calls == result.tool_calls
        # Several conversations may share one iterable of tools.
        both = told.chat(["a", "b"], tools=iter([weather]), tool_prompt=True)
        assert all("describes them" in one.note for one in both)


def test_streamed_text_and_result_are_the_same_where_a_reader_holds_text_back(
    tiny_gguf: Path,
) -> None:
    reply = "well <tool_call>\n{broken"
    with fake_kit(tiny_gguf, runtime=FakeRuntime(replies=[reply])) as kit:
        told = kit.load(MODEL, LoadParams(n_ctx=2048))
        stream = told.chat("a", tools=[weather], tool_prompt=True, stream=True)
        assert "".join(stream) == stream.result.text


def test_a_conversation_may_be_an_iterator_and_tokens_an_array(model: Model) -> None:
    said = ({"role": "user", "content": text} for text in ["hello"])
    assert model.chat(said, params=GREEDY).messages[0].content == "hello"
    assert model.detokenize(np.array([97, 98]).tolist()) == "ab"
    assert model.session.detokenize(list(np.array([97, 98]))) == "ab"
