"""Vectors and a reranker's scores, against the same networks in numpy."""

from __future__ import annotations

import json
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled, ContextTooLong, Unsupported, UsageError
from localkit.events import CancelToken
from localkit.gguf import read_info
from localkit.runtime import library
from localkit.runtime.embedding.embedding import Embedder
from localkit.runtime.embedding.pairing import pair_tokens
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams
from localkit.runtime.vocabulary import Vocabulary
from tests.fixtures.encoder import Encoder, minilm, minilm_folder, tiny_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from localkit.runtime.params import Pooling
    from localkit.runtime.session import LlamaSession

SENTENCES = (
    "The cat sits on the mat.",
    "A dog barks at the mailman!",
    "Quantization trades quality for memory.",
    "Café naïve — résumé, 東京 42",
    "unaffable",
    "The cat sits on the mat.",
)


class Loaded:
    """A model file in the engine, its vocabulary and an embedder."""

    def __init__(self, path: Path, *, n_ctx: int = 512) -> None:
        self.engine = library.library()
        native = self.engine.llama_model_default_params()
        self.model: Any = self.engine.llama_model_load_from_file(
            str(path).encode(), native
        )
        assert self.model
        self.vocabulary = Vocabulary(self.engine, self.model)
        self.flag = library.abort_flag()
        self.embedder = Embedder(
            self.engine, self.model, n_ctx=n_ctx, n_threads=1, abort_flag=self.flag
        )

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        pooling: Pooling | None = None,
        *,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        return self.embedder.embed(
            inputs,
            pooling=pooling,
            normalize=normalize,
            cancel=cancel or CancelToken(),
        )

    def pair(self, query: str, document: str) -> list[int]:
        return pair_tokens(self.engine, self.model, self.vocabulary, query, document)

    def close(self) -> None:
        self.embedder.close()
        self.engine.llama_model_free(self.model)


def loaded(encoder: Encoder, folder: Path) -> Loaded:
    path = folder / "encoder.gguf"
    path.write_bytes(encoder.build())
    return Loaded(path)


@pytest.fixture(scope="module")
def real() -> Encoder:
    return minilm()


@pytest.fixture(scope="module")
def minilm_loaded(
    real: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    model = loaded(real, tmp_path_factory.mktemp("minilm"))
    yield model
    model.close()


@pytest.fixture(scope="module")
def ranking() -> Encoder:
    return tiny_encoder(pooling="rank")


@pytest.fixture(scope="module")
def reranker(
    ranking: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    model = loaded(ranking, tmp_path_factory.mktemp("reranker"))
    yield model
    model.close()


@pytest.fixture(scope="module")
def smollm2_loaded(smollm2_gguf: Path) -> Iterator[Loaded]:
    model = Loaded(smollm2_gguf, n_ctx=2048)
    yield model
    model.close()


@pytest.fixture(scope="module")
def tiny_loaded(tiny_gguf: Path) -> Iterator[Loaded]:
    model = Loaded(tiny_gguf, n_ctx=1024)
    yield model
    model.close()


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_vectors_of_a_published_encoder_are_those_of_its_definition(
    minilm_loaded: Loaded, real: Encoder, pooling: Pooling
) -> None:
    inputs = [minilm_loaded.vocabulary.tokenize(text) for text in SENTENCES]
    vectors = minilm_loaded.embed(inputs, pooling)
    expected = np.array([real.embed(tokens, pooling) for tokens in inputs])
    assert vectors.shape == (len(SENTENCES), 384)
    cosines = (vectors * expected).sum(axis=1)
    assert cosines.min() > 0.9999, cosines
    assert np.abs(vectors - expected).max() < 1e-3


def test_the_pooling_of_the_file_is_used_when_none_is_named(
    minilm_loaded: Loaded,
) -> None:
    inputs = [minilm_loaded.vocabulary.tokenize(text) for text in SENTENCES]
    by_default = minilm_loaded.embed(inputs)
    assert np.array_equal(by_default, minilm_loaded.embed(inputs, "mean"))
    assert np.abs(by_default - minilm_loaded.embed(inputs, "cls")).max() > 0.01


def test_texts_about_the_same_are_nearer_than_others(minilm_loaded: Loaded) -> None:
    texts = ("How do I bake bread?", "A recipe for a loaf", "Stock prices fell today")
    bread, loaf, stocks = minilm_loaded.embed(
        [minilm_loaded.vocabulary.tokenize(text) for text in texts]
    )
    assert bread @ loaf > bread @ stocks + 0.2


def test_wordpieces_are_those_of_the_published_tokenizer(
    minilm_loaded: Loaded,
) -> None:
    folder = minilm_folder()
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = stored["model"]["vocab"]
    for text in SENTENCES:
        expected = [pieces["[CLS]"], *wordpieces(text, pieces), pieces["[SEP]"]]
        assert minilm_loaded.vocabulary.tokenize(text) == expected


def wordpieces(text: str, pieces: dict[str, int]) -> list[int]:
    """Tokenize as BERT's own code: strip accents, cut, longest match first."""
    plain = unicodedata.normalize("NFD", text.lower())
    spaced = ""
    for character in plain:
        kind = unicodedata.category(character)
        if kind == "Mn":
            continue
        alone = kind.startswith("P") or "\u4e00" <= character <= "\u9fff"
        spaced += f" {character} " if alone else character
    found: list[int] = []
    for word in spaced.split():
        start, parts = 0, []
        while start < len(word):
            prefix = "##" if start else ""
            end = next(
                (
                    e
                    for e in range(len(word), start, -1)
                    if prefix + word[start:e] in pieces
                ),
                None,
            )
            if end is None:
                parts = [pieces["[UNK]"]]
                break
            parts.append(pieces[prefix + word[start:end]])
            start = end
        found += parts
    return found


@pytest.mark.parametrize("n_inputs", [1, 3, 200])
def test_many_inputs_give_what_each_gives_alone(
    reranker: Loaded, ranking: Encoder, n_inputs: int
) -> None:
    random = np.random.default_rng(n_inputs)
    inputs = [
        random.integers(5, len(ranking.tokens), size=random.integers(1, 100)).tolist()
        for _ in range(n_inputs)
    ]
    together = reranker.embed(inputs, "mean")
    alone = np.array([ranking.embed(tokens, "mean") for tokens in inputs])
    assert np.abs(together - alone).max() < 2e-3
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_reranker_scores_a_pair_as_its_definition(
    reranker: Loaded, ranking: Encoder
) -> None:
    pairs = [reranker.pair("the cat?", text) for text in ("a dog.", "the cat", "zzz")]
    scores = reranker.embed(pairs)
    expected = np.array([ranking.embed(tokens, "rank") for tokens in pairs])
    assert scores.shape == (3, 1)
    assert np.abs(scores - expected).max() < 2e-3


def test_a_pair_is_query_and_document_with_separators(
    reranker: Loaded, ranking: Encoder
) -> None:
    spelled = [ranking.tokens[token] for token in reranker.pair("the cat", "dog.")]
    assert spelled == ["[CLS]", "the", "cat", "[SEP]", "dog", ".", "[SEP]"]


def test_S5_a_separator_in_a_document_stays_text(
    reranker: Loaded, ranking: Encoder
) -> None:
    tokens = reranker.pair("cat", "dog [SEP] [CLS]")
    assert tokens.count(ranking.tokens.index("[SEP]")) == 2
    assert tokens.count(ranking.tokens.index("[CLS]")) == 1


def test_ranking_with_a_model_that_is_no_reranker_is_refused(
    minilm_loaded: Loaded,
) -> None:
    with pytest.raises(Unsupported, match="no reranker"):
        minilm_loaded.embed([[101, 102]], "rank")


def test_a_pooling_that_does_not_exist_is_refused(reranker: Loaded) -> None:
    with pytest.raises(UsageError, match="'median'"):
        reranker.embed([[2, 3]], "median")  # type: ignore[arg-type]


def test_an_empty_input_is_refused_and_no_inputs_are_no_vectors(
    reranker: Loaded,
) -> None:
    with pytest.raises(UsageError, match="no tokens"):
        reranker.embed([[2], []])
    assert reranker.embed([], "mean").shape == (0, 64)


def test_an_input_beyond_the_positions_of_an_encoder_is_refused_not_aborted_on(
    reranker: Loaded,
) -> None:
    assert reranker.embed([[5] * 128]).shape == (1, 1)
    with pytest.raises(ContextTooLong, match=r"129 tokens .* 128"):
        reranker.embed([[5] * 129])


def test_a_cancelled_call_stops(reranker: Loaded) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        reranker.embed([[2, 3]], cancel=token)


def test_the_abort_flag_stops_the_computation_and_the_next_call_is_right(
    tiny_loaded: Loaded,
) -> None:
    before = tiny_loaded.embed([[5, 6, 7]])
    tiny_loaded.flag[0] = b"\x01"
    try:
        with pytest.raises(Cancelled):
            tiny_loaded.embed([[5, 6, 7]])
    finally:
        tiny_loaded.flag[0] = b"\x00"
    assert np.array_equal(tiny_loaded.embed([[5, 6, 7]]), before)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_long_input_of_a_causal_model_is_the_same_in_any_company(
    tiny_loaded: Loaded, pooling: Pooling
) -> None:
    long, short = [3 + i % 50 for i in range(900)], [9, 8, 7]
    alone = np.concatenate(
        [tiny_loaded.embed([long], pooling), tiny_loaded.embed([short], pooling)]
    )
    together = tiny_loaded.embed([short, long, short], pooling)
    assert np.abs(together[[1, 0]] - alone).max() < 1e-3
    assert np.abs(together[0] - together[2]).max() < 1e-6


@pytest.mark.model
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_chat_model_embeds_too(smollm2_loaded: Loaded, pooling: Pooling) -> None:
    inputs = [smollm2_loaded.vocabulary.tokenize(text) for text in SENTENCES]
    together = smollm2_loaded.embed(inputs, pooling)
    assert together.shape == (len(SENTENCES), 576)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.abs(together[0] - together[-1]).max() < 1e-3
    alone = np.concatenate([smollm2_loaded.embed([one], pooling) for one in inputs])
    assert np.abs(together - alone).max() < 1e-3


def test_vectors_keep_their_length_when_asked(tiny_loaded: Loaded) -> None:
    raw = tiny_loaded.embed([[5, 6, 7]], normalize=False)
    assert abs(float(np.linalg.norm(raw)) - 1) > 0.1
    unit = raw / np.linalg.norm(raw)
    assert np.allclose(unit, tiny_loaded.embed([[5, 6, 7]]), atol=1e-6)


@pytest.fixture(scope="module")
def ranking_model(
    ranking: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaSession]:
    path = tmp_path_factory.mktemp("ranking") / "encoder.gguf"
    path.write_bytes(ranking.build())
    # More context than the model has positions for: it gets what it has.
    params = LoadParams(n_ctx=2048, n_threads=1)
    session = LlamaRuntime().load(read_info(path), params)
    yield session
    session.close()


def test_an_encoder_loads_embeds_ranks_and_refuses_to_write(
    ranking_model: LlamaSession, ranking: Encoder
) -> None:
    with pytest.raises(ContextTooLong, match=r"129 tokens .* 128"):
        ranking_model.embed([[5] * 129])
    pairs = [ranking_model.pair("the cat?", text) for text in ("a dog.", "the cat")]
    scores = ranking_model.embed(pairs)
    expected = [ranking.embed(tokens, "rank") for tokens in pairs]
    assert np.abs(scores - np.array(expected)).max() < 2e-3
    for refused in (
        lambda: list(ranking_model.stream([2, 3], SamplingParams(max_tokens=2))),
        lambda: ranking_model.score([2], [[3]]),
        lambda: list(ranking_model.logits([2, 3])),
        lambda: ranking_model.save_state([2, 3]),
        lambda: ranking_model.time_decode(2),
        lambda: ranking_model.time_prefill(2),
    ):
        with pytest.raises(Unsupported):
            refused()
    assert ranking_model.embed(pairs).shape == (2, 1)


def test_embedding_beside_answers_changes_neither(tiny: LlamaSession) -> None:
    params = SamplingParams(temperature=0, max_tokens=4)  # a tie follows
    prompt = tiny.tokenize("hello world")

    def answer() -> tuple[int, ...]:
        stream = tiny.stream(prompt, params)
        for _ in stream:
            pass
        return stream.generation.tokens

    alone, vector = answer(), tiny.embed([prompt])
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(answer) for _ in range(12)]
        vectors = [pool.submit(tiny.embed, [prompt]) for _ in range(6)]
    assert {future.result() for future in answers} == {alone}
    assert all(np.array_equal(future.result(), vector) for future in vectors)


def test_a_cancelled_embedding_of_many_stops_soon(tiny: LlamaSession) -> None:
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    start = time.perf_counter()
    with pytest.raises(Cancelled):
        tiny.embed([[5] * 500] * 20_000, cancel=token)
    assert time.perf_counter() - start < 5
    timer.join()
