"""Answers as JSON: no field is lost."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings

from localkit.chat.result import Result
from localkit.history.results import NOT_STORED, result_from_json, result_to_json
from localkit.kit import load
from localkit.runtime.values import TokenLogprob
from tests.fixtures.kits import MODEL, fake_kit
from tests.history.made import RESULT


@given(RESULT)
@settings(max_examples=150, deadline=None)
def test_a_result_comes_back_as_it_went_in(result):
    again = result_from_json(result_to_json(result), {}, form=None)
    assert again == result
    assert repr(again) == repr(result)
    assert again.bundle() == result.bundle()


def test_every_field_of_a_result_is_stored_or_named_as_left_out(tiny_gguf):
    with fake_kit(tiny_gguf) as kit:
        stored = json.loads(result_to_json(kit.load(MODEL).generate("a")))
    names = {one.name for one in dataclasses.fields(Result)}
    assert set(stored) == names - NOT_STORED


def test_no_field_is_a_float_that_an_integer_would_become(tiny_gguf):
    with fake_kit(tiny_gguf) as kit:
        result = kit.load(MODEL).generate("a")
    again = result_from_json(result_to_json(result), {}, form=None)
    for one in dataclasses.fields(again.timings):
        assert type(getattr(again.timings, one.name)) is float


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"messages": []}', '{"messages": 3}', "[" * 100_000],
)
def test_what_is_no_result_is_refused(text):
    with pytest.raises(ValueError, match="it is no result"):
        result_from_json(text, {}, form=None)


@pytest.mark.model
def test_a_real_answer_comes_back_with_its_logprobs_and_receipt(smollm2_gguf):
    with fake_kit(smollm2_gguf, runtime=None) as kit:
        kit._runtime = None
        model = load(MODEL, n_ctx=512)
        result = model.chat(
            "Name a colour.", temperature=0, max_tokens=8, top_logprobs=3
        )
        again = result_from_json(result_to_json(result), {}, form=None)
    assert again == result
    assert isinstance(again.logprobs[0], TokenLogprob)
    assert again.receipt.as_dict() == result.receipt.as_dict()
    assert again.usage_line() == result.usage_line()
