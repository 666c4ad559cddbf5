"""Split models: every part found, merged into what they were cut from."""

from __future__ import annotations

import ctypes
import hashlib
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from localkit.errors import Cancelled, GGUFError, SourceNotFound
from localkit.events import CancelToken, Progress
from localkit.gguf import read_header
from localkit.gguf.split import merge, part_name, parts_of, whole_name
from tests.fixtures.gguf import UINT16, GGUFBuilder, tiny_llama, write_tiny_llama
from tests.fixtures.splitting import split

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_tiny_llama(tmp_path / "whole.gguf")


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    return split(whole, tmp_path / "parts", "tiny", n_parts=3)


@pytest.mark.parametrize("n_parts", [1, 2, 3, 20])
def test_merged_parts_are_the_file_they_were_cut_from(
    whole: Path, tmp_path: Path, n_parts: int
) -> None:
    parts = split(whole, tmp_path / "parts", "tiny", n_parts=n_parts)
    target = tmp_path / "merged.gguf"
    hashed = merge(parts, target)
    data, original = target.read_bytes(), whole.read_bytes()
    # gguf-split pads the last tensor as well; the fixture's builder does not.
    assert data == original + bytes(-len(original) % 32)
    assert (hashed.sha256, hashed.size) == (
        hashlib.sha256(data).hexdigest(),
        len(data),
    )


@pytest.mark.model
def test_a_published_model_is_put_together_again_bit_by_bit(
    smollm2_gguf: Path, tmp_path: Path
) -> None:
    parts = split(smollm2_gguf, tmp_path / "parts", "smol", n_parts=3)
    hashed = merge(parts, tmp_path / "merged.gguf")
    with smollm2_gguf.open("rb") as stream:
        original = hashlib.file_digest(stream, "sha256").hexdigest()
    assert hashed.sha256 == original


def test_another_reader_sees_the_same_tensors_and_keys(
    whole: Path, parts: list[Path], tmp_path: Path
) -> None:
    from gguf import GGUFReader

    merge(parts, tmp_path / "merged.gguf")
    ours, original = GGUFReader(tmp_path / "merged.gguf"), GGUFReader(whole)
    assert list(ours.fields) == list(original.fields)
    assert [one.name for one in ours.tensors] == [one.name for one in original.tensors]
    for one, other in zip(ours.tensors, original.tensors, strict=True):
        assert np.array_equal(one.data, other.data)


def test_llama_cpp_loads_the_merged_file_and_computes_the_same(
    whole: Path, parts: list[Path], tmp_path: Path, logits: Callable[[Path], Any]
) -> None:
    merged = tmp_path / "merged.gguf"
    merge(parts, merged)
    assert np.array_equal(logits(merged), logits(whole))


def test_llama_cpp_loads_the_parts_as_we_cut_them(
    whole: Path, parts: list[Path], logits: Callable[[Path], Any]
) -> None:
    """The fixture speaks llama.cpp's convention, not one of ours."""
    assert np.array_equal(logits(parts[0]), logits(whole))


@pytest.fixture
def logits() -> Callable[[Path], Any]:
    """Return a function from a file to its logits after three tokens."""
    from localkit.runtime.library import library

    engine = library()

    def compute(path: Path) -> Any:
        model = engine.llama_model_load_from_file(
            str(path).encode(), engine.llama_model_default_params()
        )
        assert model, path
        params = engine.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 64, 1, 1
        context = engine.llama_init_from_model(model, params)
        tokens = (ctypes.c_int32 * 3)(10, 20, 30)
        batch = engine.llama_batch_get_one(tokens, 3)
        assert engine.llama_decode(context, batch) == 0
        n_vocab = engine.llama_vocab_n_tokens(engine.llama_model_get_vocab(model))
        found = np.ctypeslib.as_array(
            engine.llama_get_logits_ith(context, -1), (n_vocab,)
        )
        copy = found.copy()
        engine.llama_free(context)
        engine.llama_model_free(model)
        return copy

    return compute


def test_any_part_leads_to_all(parts: list[Path]) -> None:
    for part in parts:
        assert parts_of(part) == parts
    assert part_name(parts[1]) == ("tiny", 2, 3)
    assert whole_name(parts[1]) == "tiny.gguf"
    assert part_name(Path("tiny.gguf")) is None


def test_missing_parts_are_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(SourceNotFound, match="tiny-00002-of-00003"):
        parts_of(parts[0])


def test_parts_of_two_models_are_refused(parts: list[Path], tmp_path: Path) -> None:
    other = write_tiny_llama(tmp_path / "other.gguf", n_layers=3)
    strangers = split(other, tmp_path / "other", "other", n_parts=3)
    with pytest.raises(GGUFError, match=r"is in two parts|has \d+"):
        merge([parts[0], strangers[1], strangers[2]], tmp_path / "merged.gguf")
    assert not (tmp_path / "merged.gguf").exists()


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 2), (0, 1), (2, 1, 0)])
def test_parts_in_another_order_or_number_are_refused(
    parts: list[Path], tmp_path: Path, order: tuple[int, ...]
) -> None:
    with pytest.raises((GGUFError, SourceNotFound)):
        merge([parts[index] for index in order], tmp_path / "merged.gguf")
    assert not (tmp_path / "merged.gguf").exists()


def test_a_whole_model_is_no_part(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(GGUFError, match="no part of a model"):
        merge([whole], tmp_path / "merged.gguf")


def test_a_part_that_lies_about_its_tensors_is_refused(tmp_path: Path) -> None:
    builder = tiny_llama()
    builder.kv("split.no", 0, UINT16).kv("split.count", 1, UINT16)
    builder.kv("split.tensors.count", 99)
    path = tmp_path / "tiny-00001-of-00001.gguf"
    path.write_bytes(builder.build())
    with pytest.raises(GGUFError, match="but the model has 99"):
        merge([path], tmp_path / "merged.gguf")


def test_a_truncated_part_is_refused(parts: list[Path], tmp_path: Path) -> None:
    parts[2].write_bytes(parts[2].read_bytes()[:-100])
    with pytest.raises(GGUFError, match="ends at byte"):
        merge(parts, tmp_path / "merged.gguf")


def test_an_alignment_of_the_models_own_is_kept(tmp_path: Path) -> None:
    builder = GGUFBuilder(alignment=64)
    builder.kv("general.architecture", "llama").kv("general.alignment", 64)
    builder.kv(b"odd", "\u00e9".encode("latin-1"))
    for index in range(4):
        builder.tensor(f"t{index}", (10 + index,), bytes([index]) * 4 * (10 + index))
    whole = tmp_path / "odd.gguf"
    whole.write_bytes(builder.build())
    parts = split(whole, tmp_path / "parts", "odd", n_parts=2)
    merge(parts, tmp_path / "merged.gguf")
    data = whole.read_bytes()
    assert (tmp_path / "merged.gguf").read_bytes() == data + bytes(-len(data) % 64)


def test_progress_ends_at_the_size_and_cancelling_stops(
    parts: list[Path], tmp_path: Path
) -> None:
    reports: list[Progress] = []
    hashed = merge(parts, tmp_path / "merged.gguf", on_progress=reports.append)
    assert (reports[-1].done, reports[-1].total) == (hashed.size, hashed.size)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        merge(parts, tmp_path / "again.gguf", cancel=token)


def test_memory_stays_flat(tmp_path: Path) -> None:
    builder = GGUFBuilder()
    builder.kv("general.architecture", "llama")
    for index in range(2):
        builder.tensor(f"t{index}", (8 << 20,), bytes(32 << 20))
    whole = tmp_path / "large.gguf"
    whole.write_bytes(builder.build())
    builder.data = b""
    parts = split(whole, tmp_path / "parts", "large", n_parts=2)
    tracemalloc.start()
    merge(parts, tmp_path / "merged.gguf")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20
    assert read_header(tmp_path / "merged.gguf").tensors[1].n_bytes == 32 << 20
