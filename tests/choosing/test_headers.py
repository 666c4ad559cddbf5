"""The header of a model that was not downloaded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from localkit.choosing import headers
from localkit.choosing.headers import checked_info, fetch_header, keep_header
from localkit.errors import GGUFError
from localkit.gguf import read_header, read_info
from localkit.store.registry.remote import RangeReply
from tests.fixtures.gguf import GGUFBuilder, tiny_llama

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def in_pieces(data: bytes, size: int, taken: list[int]) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        taken.append(at)
        yield data[at : at + size]


@pytest.mark.parametrize("piece", [1, 100, 4096, 1 << 20])
def test_what_is_kept_reads_as_the_whole_file(tmp_path: Path, piece: int) -> None:
    data = tiny_llama().build()
    whole, kept = tmp_path / "whole.gguf", tmp_path / "kept.gguf"
    whole.write_bytes(data)
    header = keep_header(in_pieces(data, piece, []), len(data), kept)
    assert header == read_header(whole) == read_header(kept)
    assert kept.stat().st_size == len(data)


def test_the_stream_is_left_where_the_header_ends(tmp_path: Path) -> None:
    data = tiny_llama(n_embd=512, n_layers=8).build()
    assert len(data) > 8 << 20
    taken: list[int] = []
    keep_header(in_pieces(data, 1 << 16, taken), len(data), tmp_path / "kept.gguf")
    assert taken[-1] < 1 << 20
    # Sparse: on the disk there is the header alone.
    assert (tmp_path / "kept.gguf").stat().st_blocks * 512 < 2 << 20


def server(data: bytes, asked: list[tuple[int, int]], *, ranges: bool = True) -> Any:
    """Return what serves ranges of ``data`` and writes down which."""

    @contextmanager
    def open_range(start: int, end: int) -> Iterator[RangeReply]:
        asked.append((start, end))
        begins, sent = (start, data[start:end]) if ranges else (0, data)
        yield RangeReply(begins, len(data), None, in_pieces(sent, 5000, []))

    return open_range


@pytest.mark.parametrize("ranges", [True, False])
def test_more_is_asked_for_only_while_the_header_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranges: bool
) -> None:
    monkeypatch.setattr(headers, "_FIRST", 3000)
    data = tiny_llama(n_embd=512).build()
    asked: list[tuple[int, int]] = []
    header = fetch_header(
        server(data, asked, ranges=ranges), len(data), tmp_path / "kept.gguf"
    )
    assert header.tensors
    assert asked[0] == (0, 3000)
    if ranges:
        # The reader takes a MiB at a time, so the last range is the one around it.
        assert asked[1] == (3000, 9000)
        assert asked[-1][1] <= 2 << 20
    else:
        assert len(asked) == 1


def test_G4_a_server_that_sends_nothing_more_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_FIRST", 3000)
    data = tiny_llama().build()
    asked: list[tuple[int, int]] = []
    with pytest.raises(GGUFError, match="ends at byte"):
        fetch_header(server(data[:5000], asked), len(data), tmp_path / "kept.gguf")
    assert len(asked) == 3


def test_G4_a_stream_that_ends_within_the_header_is_said(tmp_path: Path) -> None:
    data = tiny_llama().build()
    with pytest.raises(GGUFError, match="ends at byte"):
        keep_header(iter([data[:3000]]), len(data), tmp_path / "kept.gguf")


def test_G1_a_header_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "MOST", 2 << 20)
    data = GGUFBuilder().kv("a", "x" * (3 << 20)).build()
    with pytest.raises(GGUFError, match="does not end within 2 MiB"):
        keep_header(in_pieces(data, 65536, []), 1 << 40, tmp_path / "kept.gguf")


def test_a_page_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match="is not a GGUF"):
        keep_header(iter([b"<!DOCTYPE html><html>" * 9]), 500, tmp_path / "kept.gguf")


def test_G3_what_would_abort_llama_cpp_is_not_planned(tmp_path: Path) -> None:
    data = tiny_llama(metadata={"llama.attention.head_count": 0}).build()
    kept = tmp_path / "kept.gguf"
    header = keep_header(iter([data]), len(data), kept)
    with pytest.raises(GGUFError):
        checked_info(header, kept)


def test_a_sound_header_tells_what_the_file_would(tmp_path: Path) -> None:
    data = tiny_llama().build()
    kept = tmp_path / "kept.gguf"
    header = keep_header(iter([data]), len(data), kept)
    assert checked_info(header, kept) == read_info(kept)
