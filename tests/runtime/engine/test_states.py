from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import ContextTooLong, UsageError
from localkit.gguf import read_info
from localkit.runtime.engine import states
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession

GREEDY = SamplingParams(temperature=0, max_tokens=16)
TOKENS, CELLS = [5, 6, 7], b"\x01cells\n of three\n"


def load(path: Path, **params: object) -> LlamaSession:
    return LlamaRuntime().load(
        read_info(path),
        LoadParams(**{"n_ctx": 512, "n_threads": 1, **params}),  # type: ignore[arg-type]
    )


def test_what_is_packed_is_unpacked() -> None:
    state = states.pack(TOKENS, CELLS, made_by="one")
    assert states.unpack(state, made_by="one") == (TOKENS, CELLS)


def test_a_state_made_by_something_else_is_refused_with_both_names() -> None:
    state = states.pack(TOKENS, CELLS, made_by="one")
    with pytest.raises(UsageError, match="saved by one, this is other"):
        states.unpack(state, made_by="other")


def test_every_flipped_byte_is_noticed() -> None:
    state = states.pack(TOKENS, CELLS, made_by="one")
    for at in range(len(state)):
        damaged = bytearray(state)
        damaged[at] ^= 0x01
        with pytest.raises(UsageError) as caught:
            states.unpack(bytes(damaged), made_by="one")
        assert caught.value.hint


def test_every_truncation_is_noticed() -> None:
    state = states.pack(TOKENS, CELLS, made_by="one")
    for n in range(len(state)):
        with pytest.raises(UsageError):
            states.unpack(state[:n], made_by="one")
    with pytest.raises(UsageError, match="damaged"):
        states.unpack(state + b"\0", made_by="one")


@pytest.mark.parametrize(
    "head",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"tokens": 5}',
        b'{"tokens": ["x"]}',
        b'{"tokens": [5], "made_by": "one"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_hostile_head_is_refused(head: bytes) -> None:
    with pytest.raises(UsageError):
        states.unpack(b"localkit-state-1\n" + head + b"\n" + CELLS, made_by="one")


def test_a_restored_state_is_reused_and_gives_the_same_answer(
    tiny: LlamaSession, tiny_gguf: Path
) -> None:
    prompt = tiny.tokenize("a long beginning that somebody saved " * 3)
    question = [*prompt, *tiny.tokenize(" and then", add_special=False)]
    state = tiny.save_state(prompt)
    expected = tiny.stream(question, GREEDY).wait()
    other = load(tiny_gguf)
    assert other.restore_state(state) == len(prompt)
    start = other.activity.n_computed
    restored = other.stream(question, GREEDY).wait()
    assert restored.tokens == expected.tokens
    assert restored.usage.n_reused == expected.usage.n_reused == len(prompt)
    n_answered = restored.usage.n_generated - 1
    assert other.activity.n_computed - start == len(question) - len(prompt) + n_answered
    other.close()


def test_saving_what_is_cached_computes_one_token(tiny: LlamaSession) -> None:
    prompt = tiny.tokenize("something that was asked already")
    tiny.stream(prompt, GREEDY).wait()
    start = tiny.activity.n_computed
    tiny.save_state(prompt)
    assert tiny.activity.n_computed - start == 1


def test_restoring_into_a_full_context_gives_up_what_is_idle(
    tiny: LlamaSession,
) -> None:
    state = tiny.save_state([7] * 300)
    for token in range(20, 24):
        tiny.stream([token] * 120, SamplingParams(temperature=0, max_tokens=1)).wait()
    assert tiny.restore_state(state) == 300
    assert tiny.stream([7] * 301, GREEDY).wait().usage.n_reused == 300


def test_a_state_larger_than_the_context_is_refused_and_the_session_goes_on(
    tiny: LlamaSession, tiny_gguf: Path
) -> None:
    state = tiny.save_state([7] * 300)
    small = load(tiny_gguf, n_ctx=256)
    before = small.stream([5, 6, 7], GREEDY).wait().tokens
    with pytest.raises(UsageError, match="refused the state of 300 tokens"):
        small.restore_state(state)
    assert small.stream([5, 6, 7], GREEDY).wait().tokens == before
    small.close()


def test_a_state_of_other_kv_types_is_refused(
    tiny: LlamaSession, tiny_gguf: Path
) -> None:
    state = tiny.save_state([7] * 30)
    other = load(tiny_gguf, kv_type="f32")
    with pytest.raises(UsageError, match="KV f16"):
        other.restore_state(state)
    other.close()


def test_weights_of_the_same_shape_and_name_are_told_apart(
    tiny_gguf: Path, tmp_path: Path
) -> None:
    same = write_tiny_llama(tmp_path / "same.gguf")
    other = write_tiny_llama(tmp_path / "other.gguf", seed=1)
    assert other.stat().st_size == tiny_gguf.stat().st_size
    mark = states.weights_mark(tiny_gguf)
    assert states.weights_mark(same) == mark
    assert states.weights_mark(other) != mark
    (tmp_path / "empty").touch()
    assert states.weights_mark(tmp_path / "empty") != mark


def test_a_state_of_other_weights_of_the_same_shape_is_refused(
    tiny: LlamaSession, tmp_path: Path
) -> None:
    state = tiny.save_state([7] * 30)
    other = load(write_tiny_llama(tmp_path / "tiny-F16.gguf", seed=1))
    with pytest.raises(UsageError, match="the state was saved by"):
        other.restore_state(state)
    other.close()


def test_a_damaged_state_is_refused_before_llama_cpp_reads_it(
    tiny: LlamaSession,
) -> None:
    prompt = tiny.tokenize("hello world")
    expected = tiny.score(prompt, [[40, 41]])[0].logprobs
    state = tiny.save_state(prompt)
    random = np.random.default_rng(1)
    for at in random.integers(0, len(state), 50):
        damaged = bytearray(state)
        damaged[at] ^= int(random.integers(1, 256))
        with pytest.raises(UsageError):
            tiny.restore_state(bytes(damaged))
    np.testing.assert_allclose(
        tiny.score(prompt, [[40, 41]])[0].logprobs, expected, atol=2e-3
    )


def test_tokens_that_the_vocabulary_lacks_are_refused(tiny: LlamaSession) -> None:
    state = tiny.save_state([5, 6])
    head = json.loads(state.split(b"\n", 2)[1])
    cells = state.split(b"\n", 2)[2]
    forged = states.pack([5, 99_999], cells, made_by=head["made_by"])
    with pytest.raises(UsageError, match="token 99999 is not in the vocabulary"):
        tiny.restore_state(forged)


def test_a_state_longer_than_the_context_is_not_computed(tiny: LlamaSession) -> None:
    with pytest.raises(ContextTooLong):
        tiny.save_state([5] * 600)
