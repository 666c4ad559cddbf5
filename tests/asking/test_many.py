"""Several questions at once are several answers, each as if asked alone."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    ContextTooLong,
    UsageError,
)
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.model import Model
from localkit.runtime.params import LoadParams
from tests.fixtures.asking import GREEDY
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.chat.result import Result


def sure_tokens(result: Result) -> list[int]:
    """Return the tokens before the first that two were nearly as likely to be.

    What is computed beside others differs in the last bits, which decides a tie.
    """
    sure = []
    tops = [entry.top for entry in result.logprobs]
    for token, (first, second) in zip(result.tokens, tops, strict=True):
        if first[1] - second[1] < 0.02:
            break
        sure.append(token)
    return sure


def assert_idle(model: Model) -> None:
    """Wait until every slot is free."""
    deadline = time.monotonic() + 10
    while model.session.activity.n_busy and time.monotonic() < deadline:
        time.sleep(0.02)
    assert model.session.activity.n_busy == 0


def test_one_prompt_gives_a_result_and_a_list_gives_a_list(model: Model) -> None:
    one = model.generate("a", params=GREEDY)
    many = model.generate(["a", "b", "a"], params=GREEDY)
    assert [result.text for result in many][::2] == [one.text] * 2
    assert many[1].prompt == "b"
    assert model.generate([], params=GREEDY) == []


def test_a_list_of_texts_is_as_many_chats_and_a_list_of_messages_is_one(
    model: Model,
) -> None:
    said = {"role": "user", "content": "hello"}
    one = model.chat([said], params=GREEDY)
    texts = model.chat(["hello", "hello"], params=GREEDY)
    lists = model.chat([[said], [said]], params=GREEDY)
    assert [r.text for r in (*texts, *lists)] == [one.text] * 4
    assert texts[0].messages[0].content == "hello"
    assert texts[0].messages[-1].role == "assistant"


def test_a_system_message_goes_before_each_of_many(model: Model) -> None:
    first, second = model.chat(["a", "b"], system="Be brief.", params=GREEDY)
    assert first.messages[0].role == second.messages[0].role == "system"


def test_many_answers_of_the_engine_are_those_of_each_alone(llama: Model) -> None:
    prompts = [f"hello {'the ' * (i % 7)}{i}" for i in range(20)]
    together = llama.generate(prompts, top_logprobs=2, params=GREEDY)
    assert [r.prompt for r in together] == prompts
    n_sure = 0
    for prompt, result in zip(prompts, together, strict=True):
        alone = llama.generate(prompt, top_logprobs=2, params=GREEDY)
        sure = sure_tokens(alone)
        assert list(result.tokens[: len(sure)]) == sure
        n_sure += len(sure)
    assert n_sure > 50


def test_many_streams_say_which_question_each_text_answers(llama: Model) -> None:
    stream = llama.generate(["hello", "world", "and"], stream=True, params=GREEDY)
    texts = ["", "", ""]
    for place, text in stream:
        texts[place] += text
    assert texts == [result.text for result in stream.results]


def test_n_answers_have_seeds_that_count_up(llama: Model) -> None:
    answers = llama.generate("hello", n=3, seed=7, max_tokens=12, temperature=2.0)
    assert [answer.receipt.params.seed for answer in answers] == [7, 8, 9]
    assert len({answer.text for answer in answers}) == 3
    again = llama.generate("hello", seed=8, max_tokens=12, temperature=2.0)
    assert again.text == answers[1].text
    drawn = llama.chat("hello", n=2, max_tokens=4)
    assert len({answer.receipt.params.seed for answer in drawn}) == 2


def test_n_and_a_list_at_once_are_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="n is 2 and there are 2 questions"):
        model.generate(["a", "b"], n=2)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="n is 0"):
        model.generate("a", n=0)


def test_the_first_error_of_many_stops_the_others_and_is_raised(llama: Model) -> None:
    with pytest.raises(ContextTooLong):
        llama.generate(["hello", "the " * 900, "world"], temperature=0, max_tokens=400)
    assert llama.generate("hello", params=GREEDY).finish_reason == "length"


def test_a_raised_token_ends_many_with_what_each_has(llama: Model) -> None:
    cancel = CancelToken()
    timer = threading.Timer(0.2, cancel.cancel)
    timer.start()
    results = llama.generate(
        ["hello"] * 6, max_tokens=450, cancel=cancel, logit_bias={0: -99.0, 2: -99.0}
    )
    timer.join()
    assert len(results) == 6
    assert any(result.partial for result in results)


def test_many_streams_left_early_stop_and_keep_what_was_said(llama: Model) -> None:
    stream = llama.generate(["hello"] * 9, stream=True, max_tokens=400, temperature=0)
    place, text = next(stream)
    stream.close()
    results = stream.results
    assert len(results) == 9
    assert results[place].text.startswith(text)
    assert all(result.partial for result in results)
    assert_idle(llama)


def test_many_streams_that_nobody_reads_any_more_stop(llama: Model) -> None:
    stream = llama.generate(["hello"] * 9, stream=True, max_tokens=400, temperature=0)
    next(stream)
    del stream
    assert_idle(llama)


@pytest.mark.model
def test_ctrl_c_of_the_terminal_ends_many_answers_at_once(
    smollm2_gguf: Path,
) -> None:
    from localkit.runtime.llama import LlamaRuntime

    main = threading.main_thread().ident
    assert main is not None
    params = LoadParams(n_ctx=2048, n_threads=1, n_seq_max=4)
    with fake_kit(smollm2_gguf) as kit:
        stored = kit.store.resolve(MODEL)
        model = Model(stored, LlamaRuntime().load(read_info(smollm2_gguf), params))
        with model:
            timer = threading.Timer(1.0, signal.pthread_kill, (main, signal.SIGINT))
            timer.start()
            prompts = [f"Count from {start} on: " for start in range(8)]
            results = model.generate(prompts, max_tokens=400, temperature=0)
            timer.join()
            assert len(results) == 8
            assert any(result.partial and result.text for result in results)
            after = model.generate("The capital of France is", max_tokens=3)
            assert not after.partial
