from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import ContextTooLong, SessionClosed, UsageError
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

GREEDY = SamplingParams(temperature=0, max_tokens=24)
FRANCE = (
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def answer(session: LlamaSession, prompt: list[int], params: SamplingParams):
    stream = session.stream(prompt, params)
    pieces = list(stream)
    return pieces, stream.generation


@pytest.mark.model
def test_a_real_model_names_the_capital_of_france(smollm2: LlamaSession) -> None:
    prompt = smollm2.tokenize(FRANCE, parse_special=True)
    _, generation = answer(smollm2, prompt, GREEDY)
    assert "Paris" in generation.text


def test_greedy_takes_the_largest_logit_at_every_step(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("once upon a time")
    _, generation = answer(tiny, prompt, GREEDY)
    sequence = [*prompt, *generation.tokens]
    rows = np.concatenate(list(tiny.logits(sequence, first=len(prompt) - 1)))
    assert rows[:-1].argmax(axis=1).tolist() == list(generation.tokens)


def test_counts_are_exact(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("hello")
    pieces, generation = answer(tiny, prompt, GREEDY)
    assert generation.usage.n_prompt == len(prompt)
    assert generation.usage.n_generated == len(generation.tokens)
    assert "".join(piece.text for piece in pieces) == generation.text
    assert generation.timings.ttft_s >= generation.timings.prefill_s > 0


def test_the_same_seed_gives_the_same_answer_and_another_does_not(
    tiny: LlamaSession,
) -> None:
    prompt = tiny.tokenize("hello")

    def draw(seed: int | None):
        params = SamplingParams(temperature=1.5, seed=seed, max_tokens=24)
        return answer(tiny, prompt, params)[1]

    assert draw(7).tokens == draw(7).tokens
    assert draw(7).tokens != draw(8).tokens
    drawn = draw(None)
    assert draw(drawn.seed).tokens == drawn.tokens


def test_a_repeat_penalty_changes_what_greedy_says(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("hello")
    plain = answer(tiny, prompt, GREEDY)[1]
    penalised = answer(
        tiny, prompt, SamplingParams(temperature=0, repeat_penalty=2.0, max_tokens=24)
    )[1]
    assert plain.tokens != penalised.tokens


@pytest.mark.model
def test_a_stop_text_ends_the_answer_and_is_not_in_it(smollm2: LlamaSession) -> None:
    prompt = smollm2.tokenize(FRANCE, parse_special=True)
    whole = answer(smollm2, prompt, GREEDY)[1].text
    stop = whole[8:14]
    params = SamplingParams(temperature=0, max_tokens=24, stop=(stop, "never said"))
    pieces, generation = answer(smollm2, prompt, params)
    assert generation.text == whole.split(stop)[0]
    assert "".join(piece.text for piece in pieces) == generation.text
    assert generation.finish_reason == "stop"


def test_R2_a_full_context_ends_with_length_and_the_session_goes_on(
    tiny_gguf: Path,
) -> None:
    session = LlamaRuntime().load(
        read_info(tiny_gguf), LoadParams(n_ctx=256, n_threads=1)
    )
    prompt = session.tokenize("hello ")
    params = SamplingParams(temperature=0, max_tokens=5)
    before = answer(session, prompt, params)[1].tokens
    full = answer(session, prompt * 20, SamplingParams(temperature=0))[1]
    assert full.finish_reason in ("length", "stop")
    assert full.usage.n_prompt + full.usage.n_generated <= 256
    assert answer(session, prompt, params)[1].tokens == before
    session.close()


def test_R1_a_prompt_longer_than_the_context_is_refused_with_both_counts(
    tiny: LlamaSession,
) -> None:
    with pytest.raises(ContextTooLong, match="600 tokens but n_ctx is 512") as caught:
        tiny.stream([5] * 600, GREEDY)
    assert "n_ctx>=1024" in caught.value.hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 1.5),
        ("top_k", -3),
        ("min_p", float("inf")),
        ("repeat_penalty", 0.0),
        ("max_tokens", 0),
    ],
)
def test_a_sampling_parameter_out_of_range_is_named(
    tiny: LlamaSession, field: str, value: float
) -> None:
    with pytest.raises(UsageError, match=field):
        tiny.stream([5], SamplingParams(**{field: value}))


def test_a_token_outside_the_vocabulary_is_refused(tiny: LlamaSession) -> None:
    with pytest.raises(UsageError, match="token 999999 is not in the vocabulary"):
        tiny.stream([5, 999_999], GREEDY)
    with pytest.raises(UsageError, match="the prompt is empty"):
        tiny.stream([], GREEDY)


def test_cancel_keeps_what_was_said(tiny: LlamaSession) -> None:
    cancel = CancelToken()
    stream = tiny.stream(tiny.tokenize("hello"), SamplingParams(seed=1), cancel=cancel)
    said = []
    for piece in stream:
        said.append(piece.text)
        if len(said) == 3:
            cancel.cancel()
    assert stream.generation.finish_reason == "interrupted"
    assert stream.generation.text.startswith("".join(said[:3]))


@pytest.mark.model
@pytest.mark.parametrize("delay", [0.02, 0.1, 0.4])
def test_R4_interrupting_a_prefill_returns_at_once_and_the_session_goes_on(
    smollm2: LlamaSession, delay: float
) -> None:
    prompt = smollm2.tokenize("hello world " * 900)[:2000]
    expected = answer(smollm2, prompt[:20], GREEDY)[1].tokens
    stream = smollm2.stream(prompt, GREEDY)
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert stream.generation.finish_reason == "interrupted"
    assert answer(smollm2, prompt[:20], GREEDY)[1].tokens == expected


def test_R9_four_threads_on_one_session_get_what_each_would_get_alone(
    tiny: LlamaSession,
) -> None:
    prompts = [tiny.tokenize(text) for text in ("a", "be", "sea", "dear")]
    alone = [answer(tiny, prompt, GREEDY)[1].tokens for prompt in prompts]
    together: list[tuple[int, ...]] = [()] * 4

    def run(index: int) -> None:
        for _ in range(5):
            together[index] = answer(tiny, prompts[index], GREEDY)[1].tokens

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_R9_closing_during_an_answer_ends_it_and_later_calls_say_so(
    tiny_gguf: Path,
) -> None:
    session = LlamaRuntime().load(
        read_info(tiny_gguf), LoadParams(n_ctx=512, n_threads=1)
    )
    stream = session.stream(session.tokenize("hello"), SamplingParams(seed=1))
    for index, _ in enumerate(stream):
        if index == 2:
            session.close()
    assert stream.generation.finish_reason in ("interrupted", "stop", "length")
    session.close()
    with pytest.raises(SessionClosed, match="was unloaded"):
        session.tokenize("hello")
