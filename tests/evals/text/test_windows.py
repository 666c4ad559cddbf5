from __future__ import annotations

import numpy as np
import pytest

from localkit.errors import DatasetInvalid, NotComparable
from localkit.evals.text.windows import cut_windows
from localkit.runtime.fake import BOS, EOS, FakeSession
from tests.evals.fakes import fake_session

TEXT = "The quick brown fox jumps over the lazy dog. " * 40


def test_half_of_each_chunk_but_its_first_token_is_scored() -> None:
    windows = cut_windows(fake_session(), TEXT, n_ctx=512)
    assert windows.n_scored == 255
    assert windows.targets.shape == (windows.n_chunks, 255)
    assert windows.targets.dtype == np.int32
    stream = fake_session().tokenize(TEXT)
    assert windows.targets[1].tolist() == stream[512 + 257 : 1024]


def test_bos_replaces_the_first_token_of_every_chunk_for_decoding_only() -> None:
    windows = cut_windows(fake_session(), TEXT, n_ctx=64)
    assert all(chunk[0] == BOS for chunk in windows.inputs)
    assert windows.tokens[1, 0] != BOS
    assert windows.inputs[1][1:] == tuple(windows.tokens[1, 1:].tolist())


def test_a_model_without_bos_decodes_the_text_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeSession, "adds_bos", False)
    windows = cut_windows(fake_session(), TEXT, n_ctx=64)
    assert windows.inputs[1] == tuple(windows.tokens[1].tolist())


def test_one_trailing_newline_is_dropped_and_only_one() -> None:
    session = fake_session()
    plain = cut_windows(session, TEXT, n_ctx=64).digest
    assert cut_windows(session, TEXT + "\n", n_ctx=64).digest == plain
    assert cut_windows(session, TEXT + "\n\n", n_ctx=64).digest != plain


def test_control_tokens_in_the_text_stay_text() -> None:
    windows = cut_windows(fake_session(), "</s>" * 100, n_ctx=32)
    assert EOS not in windows.tokens


def test_incomplete_last_chunk_is_left_out_and_the_cap_counts_chunks() -> None:
    assert cut_windows(fake_session(), "x" * 1000, n_ctx=64).n_chunks == 1001 // 64
    assert cut_windows(fake_session(), TEXT, n_ctx=64, max_chunks=3).n_chunks == 3


def test_a_chunk_is_the_same_measurement_however_many_are_in_use() -> None:
    few = cut_windows(fake_session(), TEXT, n_ctx=64, max_chunks=2)
    all_ = cut_windows(fake_session(), TEXT, n_ctx=64)
    assert few.digest == all_.digest
    assert few.inputs == all_.inputs[:2]
    assert cut_windows(fake_session(), TEXT, n_ctx=32).digest != all_.digest


def test_text_that_is_too_short_says_how_long_it_is() -> None:
    with pytest.raises(DatasetInvalid, match="is 101 tokens but at least 1024"):
        cut_windows(fake_session(), "x" * 100, n_ctx=512)


def test_a_tokenizer_that_ends_every_text_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = fake_session()
    tokenize = session.tokenize

    def with_eos(
        text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        return tokenize(text, add_special=add_special) + [EOS] * add_special

    monkeypatch.setattr(session, "tokenize", with_eos)
    with pytest.raises(NotComparable, match="ends every text"):
        cut_windows(session, TEXT)


def test_scored_bytes_are_those_of_the_text() -> None:
    windows = cut_windows(fake_session(), "ünïcödé " * 60, n_ctx=64)
    # One token a byte; a character cut by an edge counts as U+FFFD, 3 bytes.
    assert all(abs(n - windows.n_scored) <= 4 for n in windows.n_bytes_scored)
    ascii_only = cut_windows(fake_session(), TEXT, n_ctx=64)
    assert set(ascii_only.n_bytes_scored) == {31}
