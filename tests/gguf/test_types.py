from __future__ import annotations

import ctypes
from pathlib import Path

import gguf
import pytest

from localkit.gguf.types import (
    FILE_TYPES,
    REMOVED_WEIGHT_TYPES,
    WEIGHT_TYPES,
    file_type_id,
    weight_type,
)


def test_weight_types_are_those_of_the_gguf_package() -> None:
    theirs = {
        int(type_): (type_.name.lower(), *gguf.GGML_QUANT_SIZES[type_])
        for type_ in gguf.GGMLQuantizationType
    }
    ours = {
        id_: (type_.name.lower(), *type_[1:]) for id_, type_ in WEIGHT_TYPES.items()
    }
    # q8_1 is never in a file; the package still has the size of an older ggml.
    q8_1 = 9
    # It may be older than the engine, never the other way.
    assert theirs.keys() <= ours.keys()
    assert {id_ for id_ in theirs if theirs[id_] != ours[id_]} <= {q8_1}


def test_weight_types_are_those_of_the_installed_engine() -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    libraries = Path(llama_cpp.__file__).parent / "lib"
    (found,) = [
        path
        for path in libraries.iterdir()
        if path.name in {"libggml-base.so", "libggml-base.dylib", "ggml-base.dll"}
    ]
    ggml = ctypes.CDLL(str(found))
    ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_type_size.restype = ctypes.c_size_t
    ggml.ggml_blck_size.restype = ctypes.c_int64
    for id_, type_ in WEIGHT_TYPES.items():
        assert type_ == (
            ggml.ggml_type_name(id_).decode(),
            ggml.ggml_blck_size(id_),
            ggml.ggml_type_size(id_),
        )


def test_removed_weight_types_are_none_of_the_present_ones() -> None:
    assert not WEIGHT_TYPES.keys() & REMOVED_WEIGHT_TYPES.keys()


def test_file_types_are_those_of_the_gguf_package() -> None:
    theirs = {
        int(type_): type_.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for type_ in gguf.LlamaFileType
        if type_.name != "GUESSED"
    }
    assert theirs.items() <= FILE_TYPES.items()


def test_every_file_type_label_leads_back_to_its_id() -> None:
    assert {id_: file_type_id(label) for id_, label in FILE_TYPES.items()} == {
        id_: id_ for id_ in FILE_TYPES
    }
    assert file_type_id("q4_k_m") == 15


def test_an_unknown_label_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        file_type_id("Q4_K_XXL")
    with pytest.raises(KeyError):
        weight_type("f17")


def test_size_counts_whole_blocks() -> None:
    assert weight_type("Q8_0").size(64) == 68
    assert weight_type("q4_K").size(512) == 288
    assert weight_type("f16").size(3) == 6
