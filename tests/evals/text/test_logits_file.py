from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import DiskFull, NotComparable, ResultsInvalid
from localkit.evals.text.divergence import reference_chunk
from localkit.evals.text.logits_file import (
    Origin,
    open_logits,
    sidecar,
    write_logits,
)
from localkit.evals.text.logits_layout import file_size
from localkit.evals.text.windows import Windows, cut_windows
from localkit.io import disk
from tests.evals.fakes import fake_session

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.evals.text.log_probs import EncodedRows

TEXT = "A base file is written once and read by every candidate. " * 20


@pytest.fixture
def windows() -> Windows:
    return cut_windows(fake_session(), TEXT, n_ctx=128, max_chunks=3)


@pytest.fixture
def chunks(windows: Windows) -> list[EncodedRows]:
    return [reference_chunk(fake_session(), windows, index) for index in range(3)]


@pytest.fixture
def base(tmp_path: Path, windows: Windows, chunks: list[EncodedRows]) -> Path:
    path = tmp_path / "base.logits"
    with write_logits(path, windows, 260) as writer:
        for chunk in chunks:
            writer.append(chunk)
    return path


def test_what_is_written_is_read_back(
    base: Path, windows: Windows, chunks: list[EncodedRows]
) -> None:
    file = open_logits(base)
    file.require_match(windows, 260)
    for index, chunk in enumerate(chunks):
        record, exact = file.chunk(index)
        assert np.array_equal(record, chunk.record)
        assert exact is not None
        assert np.array_equal(exact.nll, chunk.exact.nll)
        assert np.array_equal(exact.top, chunk.exact.top)


def test_layout_is_that_of_llama_perplexity(base: Path, windows: Windows) -> None:
    content = base.read_bytes()
    assert content[:8] == b"_logits_"
    assert struct.unpack_from("<Iii", content, 8) == (128, 260, 3)
    tokens = np.frombuffer(content, "<i4", 3 * 128, 20)
    assert np.array_equal(tokens.reshape(3, 128), windows.tokens)
    assert len(content) == 20 + 3 * 128 * 4 + 3 * 63 * (260 + 4) * 2
    assert len(content) == file_size(128, 260, 3)


def test_a_file_without_a_side_car_is_read_without_exact_figures(base: Path) -> None:
    sidecar(base).unlink()
    file = open_logits(base)
    assert file.exact is None
    assert file.chunk(1).exact is None


def test_fewer_chunks_than_the_file_holds_may_be_compared(base: Path) -> None:
    few = cut_windows(fake_session(), TEXT, n_ctx=128, max_chunks=2)
    open_logits(base).require_match(few, 260)


def test_E2_another_measurement_is_refused(base: Path, windows: Windows) -> None:
    file = open_logits(base)
    with pytest.raises(NotComparable, match="vocabulary has 260 tokens, not 300"):
        file.require_match(windows, 300)
    with pytest.raises(NotComparable, match="128 tokens, not 64"):
        file.require_match(cut_windows(fake_session(), TEXT, n_ctx=64), 260)
    with pytest.raises(NotComparable, match="other tokens"):
        file.require_match(
            cut_windows(fake_session(), "B" + TEXT[1:], n_ctx=128, max_chunks=3), 260
        )
    with pytest.raises(NotComparable, match="has 3 chunks"):
        file.require_match(cut_windows(fake_session(), TEXT, n_ctx=128), 260)


def test_E2_another_tokenizer_or_engine_build_is_refused_and_said(
    tmp_path: Path, windows: Windows, chunks: list[EncodedRows]
) -> None:
    session = fake_session()
    here = Origin.of(session)
    path = tmp_path / "own.logits"
    with write_logits(path, windows, 260, here) as writer:
        for chunk in chunks:
            writer.append(chunk)
    file = open_logits(path)
    assert file.origin == here
    file.require_match(windows, 260, here)
    with pytest.raises(NotComparable, match=r"tokenizer \(000000000000\) is not"):
        file.require_match(windows, 260, here._replace(vocab_digest="f" * 64))
    with pytest.raises(NotComparable, match=r"computed by .*; this is llama 9,"):
        file.require_match(windows, 260, here._replace(engine="llama 9"))


def test_a_foreign_file_is_compared_by_vocabulary_and_tokens_alone(
    base: Path, windows: Windows
) -> None:
    sidecar(base).unlink()
    file = open_logits(base)
    assert file.origin is None
    file.require_match(windows, 260, Origin("any", "any"))
    with pytest.raises(NotComparable, match="not 300"):
        file.require_match(windows, 300, Origin("any", "any"))


@pytest.mark.parametrize("cut", [0, 7, 19, 20, 500, -1])
def test_a_file_cut_short_is_refused(base: Path, cut: int) -> None:
    base.write_bytes(base.read_bytes()[:cut])
    with pytest.raises(ResultsInvalid):
        open_logits(base)


def test_a_file_cut_short_after_it_was_opened_does_not_end_the_process(
    base: Path,
) -> None:
    file = open_logits(base)
    base.write_bytes(base.read_bytes()[:-10])
    with pytest.raises(ResultsInvalid, match="ends inside chunk 2"):
        file.chunk(2)


@pytest.mark.parametrize(
    "counts", [(0, 260, 3), (128, -1, 3), (2**32 - 1, 2**31 - 1, 2**31 - 1)]
)
def test_a_header_that_claims_too_much_is_refused_without_allocating(
    base: Path, counts: tuple[int, int, int]
) -> None:
    content = bytearray(base.read_bytes())
    struct.pack_into("<Iii", content, 8, *counts)
    base.write_bytes(content)
    with pytest.raises(ResultsInvalid, match="header says otherwise"):
        open_logits(base)


def test_a_side_car_of_another_measurement_is_refused(
    base: Path, tmp_path: Path, windows: Windows
) -> None:
    other = tmp_path / "other.logits"
    with write_logits(other, windows, 260) as writer:
        for index in range(3):
            writer.append(reference_chunk(fake_session("Q", noise=1), windows, index))
    sidecar(other).replace(sidecar(base))
    with pytest.raises(ResultsInvalid, match="not of one measurement"):
        open_logits(base).chunk(0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_damaged_side_car_is_refused(base: Path, content: bytes) -> None:
    sidecar(base).write_bytes(content)
    with pytest.raises(ResultsInvalid, match="cannot be read"):
        open_logits(base)


def test_a_pickle_in_the_side_car_is_not_run(base: Path) -> None:
    evil = np.array([{"not": "numbers"}], dtype=object)
    np.savez(sidecar(base), nll=evil, top=evil, heads=evil)
    with pytest.raises(ResultsInvalid, match="cannot be read"):
        open_logits(base)


def test_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsInvalid, match="cannot be read"):
        open_logits(tmp_path / "none")


def test_an_interrupted_writer_leaves_nothing(
    tmp_path: Path, windows: Windows, chunks: list[EncodedRows]
) -> None:
    def interrupted() -> None:
        with write_logits(tmp_path / "base.logits", windows, 260) as writer:
            writer.append(chunks[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_measurement_is_not_published(
    tmp_path: Path, windows: Windows, chunks: list[EncodedRows]
) -> None:
    path = tmp_path / "base.logits"
    with (
        pytest.raises(ResultsInvalid, match="1 of 3 chunks"),
        write_logits(path, windows, 260) as writer,
    ):
        writer.append(chunks[0])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _: 10)
    path = tmp_path / "base.logits"
    with pytest.raises(DiskFull), write_logits(path, windows, 260):
        pytest.fail("nothing may be computed for a file that does not fit")
    assert list(tmp_path.iterdir()) == []
