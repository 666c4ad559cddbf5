from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.gguf.imatrix import read_imatrix
from localkit.gguf.reader import read_header
from localkit.making import copy_tag
from tests.fixtures.imatrix import write_made_up_imatrix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "my words.txt"
    file.write_text("the hello thin and there, in her then; " * 200, encoding="utf-8")
    return file


def test_a_matrix_is_collected_once_and_saved_where_asked(
    run: Run, kit: Kit, text: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "m.gguf"
    words = ("imatrix", "tiny:f16", "--text", str(text), "--chunks", "2")
    result = run(*words, "--save", str(saved))
    assert result.exit_code == 0, result.stderr
    assert "14 weights from 2 chunks of 512 tokens of my words.txt" in result.stdout
    made = read_imatrix(saved)
    assert (made.datasets, made.n_chunks) == (("my words.txt",), 2)
    kept = list((kit.settings.cache_dir / "imatrix").iterdir())
    before = kept[0].stat().st_mtime_ns
    again = run(*words)
    assert str(kept[0]) in again.stdout.replace("\n", "")
    assert [file.stat().st_mtime_ns for file in kept] == [before]
    # Other chunks are another matrix; a damaged one is collected again.
    run(*words[:-1], "3")
    kept[0].write_bytes(b"GGUF")
    assert run(*words).exit_code == 0
    assert read_imatrix(kept[0]).n_chunks == 2


def test_a_copy_made_with_a_matrix_takes_no_plain_ones_place(
    run: Run, kit: Kit, text: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    imatrix = write_made_up_imatrix(tmp_path / "m.gguf", tiny_gguf)
    plain = run("quantize", "tiny:f16", "Q4_0")
    assert plain.exit_code == 0, plain.stderr
    result = run("quantize", "tiny:f16", "Q4_0", "--imatrix", str(imatrix))
    assert result.exit_code == 0, result.stderr
    mixed = run("quantize", "tiny:f16", "Q4_0", "--tensor-type", "ffn_down=q8_0")
    assert mixed.exit_code == 0, mixed.stderr
    made = kit.store.resolve("tiny:q4_0-imatrix")
    assert read_header(made.weights).kv["quantize.imatrix.file"] == "m.gguf"
    digests = {
        kit.store.resolve(f"tiny:{tag}").weights_digest
        for tag in ("q4_0", "q4_0-imatrix", "q4_0-mixed")
    }
    assert len(digests) == 3
    again = run("quantize", "tiny:f16", "Q4_0", "--missing", "--imatrix", str(imatrix))
    assert again.stdout.count("was there") == 1


@pytest.mark.parametrize("word", ["ffn_down", "=q8_0", "ffn_down="])
def test_a_tensor_type_has_two_sides(run: Run, word: str) -> None:
    result = run("quantize", "tiny:f16", "Q4_0", "--tensor-type", word)
    assert result.exit_code == 1
    assert "PATTERN=TYPE" in result.stderr


def test_what_is_no_matrix_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "none.gguf"
    result = run("quantize", "tiny:f16", "Q4_0", "--imatrix", str(missing))
    assert result.exit_code == 1
    assert "none.gguf cannot be read" in result.stderr.replace("\n", "")


def test_auto_collects_from_the_packaged_text(run: Run, kit: Kit) -> None:
    result = run("quantize", "tiny:f16", "Q4_0", "--imatrix", "auto")
    assert result.exit_code == 0, result.stderr
    made = kit.store.resolve("tiny:q4_0-imatrix")
    assert read_header(made.weights).kv["quantize.imatrix.dataset"] == "calibration"


def test_the_tag_tells_how_a_copy_was_made() -> None:
    assert copy_tag("Q3_K_M") == "q3_k_m"
    assert copy_tag("Q3_K_M", imatrix=True, mixed=True) == "q3_k_m-imatrix-mixed"
