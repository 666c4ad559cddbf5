"""Tokens of several answers are drawn at once, and each gets its own."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.gguf import read_info
from localkit.runtime.engine import drawing
from localkit.runtime.engine.drawing import Drawing
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams, SamplingParams, Structure

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession


def _drawing_threads() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("localkit-draw")]


class _Engine:
    """Says which chain drew from where, and on how many threads that was."""

    def __init__(self, n_at_once: int) -> None:
        self.barrier = threading.Barrier(n_at_once)

    def llama_sampler_sample(self, chain: int, context: object, index: int) -> int:
        if index < self.barrier.parties:  # the first of every thread
            self.barrier.wait(5)
        return 100 * chain + index


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_every_wish_gets_its_own_token_from_as_many_threads(n_threads: int) -> None:
    drawing = Drawing(_Engine(n_threads), None, n_vocab=262_144)
    wishes = [(7 + index, index) for index in range(8)]
    for _ in range(2):
        tokens = drawing.draw(wishes, n_threads)
        assert tokens == [100 * chain + index for chain, index in wishes]
    drawing.close()
    assert _drawing_threads() == []


def test_a_failing_draw_is_not_lost() -> None:
    class Failing:
        def llama_sampler_sample(self, *_: object) -> int:
            raise ZeroDivisionError

    drawing = Drawing(Failing(), None, n_vocab=262_144)
    with pytest.raises(ZeroDivisionError):
        drawing.draw([(1, 0), (2, 1)], 2)
    drawing.close()


def test_a_small_vocabulary_is_drawn_from_in_turn() -> None:
    assert not Drawing(None, None, n_vocab=49_152).pays
    assert Drawing(None, None, n_vocab=262_144).pays


def _answers(session: LlamaSession) -> list[int]:
    """Return how long the answers to requests of every kind are, side by side."""
    assert session.eos is not None
    endless = SamplingParams(
        logit_bias=((session.eos, -math.inf),), max_tokens=100, top_k=0
    )
    kinds = [
        replace(endless, temperature=1, seed=1),
        replace(endless, temperature=1.5, min_p=0.01, seed=2),
        replace(endless, temperature=0, repeat_penalty=1.3),
        replace(endless, temperature=1, seed=3, top_logprobs=2),
        replace(endless, temperature=1, seed=4, prompt_logprobs=1),
        replace(
            endless, temperature=1, seed=5, structure=Structure("regex", "[ab]{100,}")
        ),
    ]
    streams = [
        session.stream(session.tokenize(f"{number} then"), params)
        for number, params in enumerate(kinds)
    ]
    threads = [threading.Thread(target=stream.wait) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [len(stream.generation.tokens) for stream in streams]


def test_a_model_draws_for_those_whose_samplers_alone_choose(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_drawn: list[int] = []
    draw = Drawing.draw

    def counted(self: Drawing, wishes: list[drawing.Wish], n_threads: int) -> list[int]:
        n_drawn.append(len(wishes))
        return draw(self, wishes, n_threads)

    monkeypatch.setattr(drawing, "LEAST_VOCAB", 1)
    monkeypatch.setattr(Drawing, "draw", counted)
    params = LoadParams(n_ctx=1024, n_threads=2, n_seq_max=6)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    assert _answers(session) == [100] * 6
    session.close()
    assert 2 <= max(n_drawn) <= 3
    assert _drawing_threads() == []
