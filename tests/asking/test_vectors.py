"""Scores, vectors, ranks and tokens of one input or many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import (
    UsageError,
)

if TYPE_CHECKING:
    from localkit.model import Model


def test_scores_of_many_prompts_are_those_of_each(llama: Model) -> None:
    endings = [["world", "and"], ["the"]]
    both = llama.score(["hello", "in"], endings)
    assert [len(scores) for scores in both] == [2, 1]
    alone = llama.score("hello", endings[0])
    for one, other in zip(both[0], alone, strict=True):
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-3)
    with pytest.raises(UsageError, match="1 prompts and 2 lists"):
        llama.score(["hello"], endings)


def test_one_text_embeds_to_a_vector_and_many_to_rows(model: Model) -> None:
    one = model.embed("aab")
    rows = model.embed(["aab"] * 130)
    assert one.shape == (260,)
    assert rows.shape == (130, 260)
    assert np.array_equal(rows[129], one)
    assert model.embed([]).shape == (0, 260)


def test_documents_come_back_in_order_of_their_score(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"low": 0.1, "high": 0.9, "same": 0.9}

    def pair(query: str, document: str) -> list[int]:
        return [*query.encode(), *document.encode()]

    def embed(inputs: list[list[int]], **_: object) -> np.ndarray:
        texts = [bytes(one).decode().removeprefix("q") for one in inputs]
        return np.array([[scores[text]] for text in texts], np.float32)

    monkeypatch.setattr(model.session, "pair", pair, raising=False)
    monkeypatch.setattr(model.session, "embed", embed)
    ranked = model.rerank("q", list(scores))
    assert [one.index for one in ranked] == [1, 2, 0]
    assert ranked[0].score == pytest.approx(0.9)
    assert model.rerank(["q", "q"], list(scores)) == [ranked, ranked]


def test_tokens_of_one_and_of_many(model: Model) -> None:
    assert model.tokenize("ab") == [97, 98]
    assert model.tokenize(["ab", "c"]) == [[97, 98], [99]]
    assert model.detokenize([97, 98]) == "ab"
    assert model.detokenize([[97, 98], [99]]) == ["ab", "c"]
    assert model.detokenize([]) == ""
