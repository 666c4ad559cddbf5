from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

from localkit.errors import GGUFError
from localkit.gguf.imatrix import Imatrix, Importance, read_imatrix, write_imatrix
from tests.fixtures.gguf import F16, STRING, GGUFBuilder

if TYPE_CHECKING:
    from pathlib import Path

DENSE, EXPERTS = "blk.0.ffn_down.weight", "blk.0.ffn_up_exps.weight"


def example() -> Imatrix:
    random = np.random.default_rng(3)
    return Imatrix(
        entries={
            EXPERTS: Importance(
                random.random((3, 5), np.float32), np.array([7, 0, 5], np.int64)
            ),
            DENSE: Importance(
                random.random((1, 64), np.float32), np.array([512], np.int64)
            ),
        },
        datasets=("café.txt", "other.txt"),
        n_chunks=1,
        chunk_size=512,
    )


def legacy(
    *entries: tuple[bytes, int, np.ndarray],
    n_entries: int | None = None,
    tail: bytes = b"",
) -> bytes:
    """Return a file of the old format."""
    raw = struct.pack("<i", len(entries) if n_entries is None else n_entries)
    for name, n_calls, sums in entries:
        raw += struct.pack("<i", len(name)) + name
        raw += struct.pack("<ii", n_calls, sums.size) + sums.astype("<f4").tobytes()
    return raw + tail


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_imatrix(tmp_path / "m.gguf", example())
    found = read_imatrix(tmp_path / "m.gguf")
    assert (found.datasets, found.n_chunks, found.chunk_size) == (
        ("café.txt", "other.txt"),
        1,
        512,
    )
    for name, entry in example().entries.items():
        np.testing.assert_array_equal(found.entries[name].sums, entry.sums)
        np.testing.assert_array_equal(found.entries[name].counts, entry.counts)


def test_llama_cpps_own_reader_finds_the_same(tmp_path: Path) -> None:
    write_imatrix(tmp_path / "m.gguf", example())
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.chunk_size"].contents() == 512
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    np.testing.assert_array_equal(
        tensors[f"{EXPERTS}.in_sum2"].data, example().entries[EXPERTS].sums
    )
    assert tensors[f"{EXPERTS}.counts"].data.tolist() == [[7.0], [0.0], [5.0]]
    assert tensors[f"{DENSE}.counts"].shape.tolist() == [1]


def test_means_are_per_token_and_one_where_no_token_came() -> None:
    sums = np.array([[2, 4], [6, 8]], np.float32)
    means = Importance(sums, np.array([2, 0], np.int64)).means()
    assert means.tolist() == [1.0, 2.0, 1.0, 1.0]
    assert means.dtype == np.float32


def test_the_old_format_is_read_with_its_calls_as_counts(tmp_path: Path) -> None:
    file = tmp_path / "imatrix.dat"
    name = b"text.txt"
    tail = struct.pack("<ii", 9, len(name)) + name
    sums = np.array([3, 6], np.float32)
    file.write_bytes(legacy((DENSE.encode(), 3, sums), tail=tail))
    found = read_imatrix(file)
    assert found.entries[DENSE].means().tolist() == [1.0, 2.0]
    assert (found.datasets, found.n_chunks, found.chunk_size) == (("text.txt",), 9, 0)
    file.write_bytes(legacy((DENSE.encode(), 0, sums)))
    assert read_imatrix(file).entries[DENSE].means().tolist() == [3.0, 6.0]


SUMS = np.array([1, 2], np.float32)
ENTRY = (b"blk.0.attn_q.weight", 1, SUMS)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello, this is no matrix at all",
        legacy(),
        legacy(ENTRY, n_entries=2),
        legacy(ENTRY)[:-3],
        legacy(ENTRY, n_entries=-1),
        legacy(ENTRY, n_entries=2**31 - 1),
        legacy((b"x" * 4096, 1, SUMS)),
        legacy((b"w", 1, np.array([], np.float32))),
        legacy((b"w", 1, np.array([np.nan], np.float32))),
        legacy((b"w", -1, SUMS)),
        legacy(ENTRY, tail=struct.pack("<ii", 1, 2**30)),
        struct.pack("<ii", 1, 2**30),
        struct.pack("<iicii", 1, 1, b"w", 1, 2**31 - 1),
    ],
)
def test_a_damaged_old_file_is_refused_before_memory_is_taken(
    tmp_path: Path, raw: bytes
) -> None:
    file = tmp_path / "bad.dat"
    file.write_bytes(raw)
    with pytest.raises(GGUFError):
        read_imatrix(file)


def builder() -> GGUFBuilder:
    built = GGUFBuilder().kv("general.type", "imatrix")
    built.kv("imatrix.datasets", ["a"], STRING)
    return built.kv("imatrix.chunk_count", 1).kv("imatrix.chunk_size", 512)


ONE = np.ones(1, "<f4").tobytes()
TWO = np.ones(2, "<f4").tobytes()


@pytest.mark.parametrize(
    ("built", "says"),
    [
        (GGUFBuilder().kv("general.type", "model"), "no importance matrix"),
        (builder(), "of no weight"),
        (builder().tensor("w.in_sum2", (2,), TWO), "no sums and counts"),
        (
            builder()
            .tensor("w.in_sum2", (2,), ONE, type_id=F16)
            .tensor("w.counts", (1,), ONE),
            "in F32",
        ),
        (
            builder().tensor("w.in_sum2", (1,), ONE).tensor("w.counts", (2,), TWO),
            "damaged",
        ),
        (
            builder()
            .tensor("w.in_sum2", (1,), struct.pack("<f", float("inf")))
            .tensor("w.counts", (1,), ONE),
            "damaged",
        ),
    ],
)
def test_a_gguf_that_is_something_else_or_damaged_is_refused(
    tmp_path: Path, built: GGUFBuilder, says: str
) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(built.build())
    with pytest.raises(GGUFError, match=says):
        read_imatrix(file)


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match=r"none\.gguf cannot be read"):
        read_imatrix(tmp_path / "none.gguf")
    with pytest.raises(GGUFError, match="cannot be read"):
        read_imatrix(tmp_path)
