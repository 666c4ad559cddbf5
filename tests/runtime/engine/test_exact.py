"""`ServeParams(exact=True)`: not a bit depends on what else is asked or cached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from localkit.evals.scorers.choices import encode_choices
from localkit.evals.tasks.catalog import load_task
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams, ServeParams
from localkit.runtime.quantize import quantize_file
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.runtime.session import LlamaSession

EXACT = ServeParams(exact=True)
GREEDY = SamplingParams(temperature=0, max_tokens=24, top_logprobs=0)


class Question(NamedTuple):
    prompt: list[int]
    endings: list[list[int]]


def forget(session: LlamaSession) -> None:
    """Empty the KV cache."""

    def work(_: object) -> None:
        with session._scheduler.emptied():
            pass

    session._owner.call(work)


def five_shot(session: LlamaSession, n_questions: int) -> list[Question]:
    """Questions of HellaSwag behind the five shortest ones with their answers."""
    task = load_task("hellaswag")
    items = sorted(task.samples, key=lambda item: len(item.prompt))
    shots = "".join(
        f"{item.prompt}{task.joiner}{item.choices[item.gold]}\n\n" for item in items[:5]
    )
    return [
        Question(
            *encode_choices(
                session, shots + item.prompt, [" " + c for c in item.choices]
            )
        )
        # The shots are asked last: what is right does not matter here.
        for item in [*items[5:], *items[:5]][:n_questions]
    ]


def computed(session: LlamaSession, before: int) -> int:
    return session.activity.n_computed - before


def check_four_choice_questions(session: LlamaSession, n_questions: int) -> None:
    questions = five_shot(session, n_questions)
    forget(session)
    start = session.activity.n_computed
    together = [
        session.score(one.prompt, one.endings, serve=EXACT) for one in questions
    ]
    n_with = computed(session, start)
    start = session.activity.n_computed
    alone = []
    for one in questions:
        for ending in one.endings:
            forget(session)
            alone += session.score(one.prompt, [ending], serve=EXACT)
    n_without = computed(session, start)
    assert n_without >= 4 * n_with, (n_without, n_with)
    scores = [score for four in together for score in four]
    for score, reference in zip(scores, alone, strict=True):
        np.testing.assert_array_equal(score.logprobs, reference.logprobs)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_four_choice_questions_reuse_their_prompt_and_lose_not_a_bit(
    smollm2: LlamaSession,
) -> None:
    check_four_choice_questions(smollm2, 3)


@pytest.mark.model
@pytest.mark.parity
@pytest.mark.timeout(1800)
def test_a_hundred_four_choice_questions(smollm2: LlamaSession) -> None:
    check_four_choice_questions(smollm2, 100)


def answer(
    session: LlamaSession, prompt: Sequence[int], serve: ServeParams
) -> tuple[tuple[int, ...], list[float]]:
    generation = session.stream(prompt, GREEDY, serve=serve).wait()
    return generation.tokens, [one.logprob for one in generation.logprobs]


@pytest.mark.model
def test_an_exact_answer_is_the_same_whatever_was_cached_before(
    smollm2: LlamaSession,
) -> None:
    text = Path("README.md").read_text(encoding="utf-8")
    first = smollm2.tokenize(text)[:150]
    turn = smollm2.tokenize("\n\nIn one word, this is about", add_special=False)
    forget(smollm2)
    said, _ = answer(smollm2, first, EXACT)
    second = [*first, *said, *turn * 3]
    forget(smollm2)
    alone = answer(smollm2, second, EXACT)
    # Behind the first turn, behind others side by side, behind a part of itself.
    forget(smollm2)
    answer(smollm2, first, EXACT)
    assert answer(smollm2, second, EXACT) == alone
    others = [smollm2.stream(first[:n], GREEDY) for n in (20, 60, 110)]
    for other in others:
        other.start()
    assert answer(smollm2, second, EXACT) == alone
    for other in others:
        other.wait()
    smollm2.score(first, [said, turn], serve=EXACT)
    assert answer(smollm2, second, EXACT) == alone
    answer(smollm2, second[:-7], EXACT)
    answer(smollm2, second[:40], EXACT)
    assert answer(smollm2, second, EXACT) == alone


@pytest.fixture(scope="module")
def k_quant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaSession]:
    # q2_K and q4_K are repacked; eight layers are enough for low bits to be seen.
    folder = tmp_path_factory.mktemp("k-quant")
    source = write_tiny_llama(folder / "tiny-F16.gguf", n_embd=256, n_layers=8)
    info = quantize_file(source, folder / "tiny-Q2_K.gguf", "Q2_K", n_threads=1)
    session = LlamaRuntime().load(info, LoadParams(n_ctx=512, n_threads=1))
    yield session
    session.close()


@pytest.mark.parametrize("n_common", [63, 130, 201, 255, 301, 398])
def test_k_quants_are_exact_wherever_a_prompt_parts_from_the_cached_one(
    k_quant: LlamaSession, n_common: int
) -> None:
    tokens = np.random.default_rng(1).integers(3, k_quant.n_vocab, 450).tolist()
    other = tokens[:n_common] + [5] * (401 - n_common)
    endings = [tokens[405:420], tokens[420:450]]
    forget(k_quant)
    alone = k_quant.score(tokens[:403], endings, serve=EXACT)
    forget(k_quant)
    k_quant.score(other, endings, serve=EXACT)
    start = k_quant.activity.n_computed
    again = k_quant.score(tokens[:403], endings, serve=EXACT)
    assert computed(k_quant, start) < 403 + 14 + 29 or n_common < 64
    for one, reference in zip(again, alone, strict=True):
        np.testing.assert_array_equal(one.logprobs, reference.logprobs)


def test_logits_do_not_depend_on_where_one_begins_to_want_them(
    k_quant: LlamaSession,
) -> None:
    tokens = np.random.default_rng(2).integers(3, k_quant.n_vocab, 463).tolist()
    whole = np.concatenate(list(k_quant.logits(tokens)))
    for first in (1, 10, 63, 64, 100, 255, 257, 400, 440, 462):
        part = np.concatenate(list(k_quant.logits(tokens, first=first)))
        # The last layer and the head compute as many rows as are wanted: 4e-7 here.
        np.testing.assert_allclose(part, whole[first:], atol=1e-5)
