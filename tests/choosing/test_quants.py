"""What is on the scales, wherever a model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import SourceNotFound, StoreError
from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.hub import HubRepo
from tests.fixtures.projector import tiny_projector

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.kit import Kit
    from tests.fixtures.hub import FakeHub


@pytest.fixture
def package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ladder: dict[str, bytes]
) -> Path:
    """Install a package that ships two quants of a model, and one that is none."""
    site = tmp_path / "site"
    info = site / "llm_tiny-1.0.dist-info"
    (site / "llm_tiny").mkdir(parents=True)
    info.mkdir()
    names = []
    for label in ("Q8_0", "Q2_K"):
        names.append(f"llm_tiny/Tiny-{label}.gguf")
        (site / names[-1]).write_bytes(ladder[label])
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: llm-tiny\nVersion: 1.0\n", encoding="utf-8"
    )
    record = "".join(f"{name},,\n" for name in names)
    (info / "RECORD").write_text(record, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    return site / "llm_tiny"


def test_quants_of_a_package_are_weighed_and_one_is_taken(
    package: Path, kit: Kit
) -> None:
    assert kit.quants("pkg:llm-tiny").chosen == "Tiny-Q8_0.gguf"
    pulled = kit.pull("pkg:llm-tiny")
    assert str(pulled.model.ref) == "tiny:q8_0"
    assert pulled.source == "pkg:llm-tiny/Tiny-Q8_0.gguf"
    assert pulled.weighing is not None
    assert len(pulled.weighing.rows) == 2
    assert kit.pull("pkg:llm-tiny/Tiny-Q2_K.gguf").weighing is None


def test_two_models_in_one_package_must_still_be_told_apart(
    package: Path, kit: Kit
) -> None:
    write_tiny_llama(package / "Other-F16.gguf")
    record = package.parent / "llm_tiny-1.0.dist-info" / "RECORD"
    with record.open("a", encoding="utf-8") as lines:
        lines.write("llm_tiny/Other-F16.gguf,,\n")
    with pytest.raises(SourceNotFound, match="ships 3 GGUF files"):
        kit.pull("pkg:llm-tiny")
    assert kit.quants("pkg:llm-tiny").chosen is None


def test_a_stored_model_is_weighed_as_it_is_there(
    kit: Kit, tmp_path: Path, ladder: dict[str, bytes]
) -> None:
    for label in ("Q8_0", "Q2_K"):
        (tmp_path / f"t-{label}.gguf").write_bytes(ladder[label])
        kit.pull(str(tmp_path / f"t-{label}.gguf"), f"tiny:{label.lower()}")
    weighing = kit.quants("tiny")
    assert [row.label for row in weighing.rows] == ["q8_0", "q2_k"]
    assert weighing.chosen is None  # nothing is to be pulled
    info = kit.store.resolve("tiny:q2_k").info
    assert weighing.row("q2_k").bits_per_weight == info.bits_per_weight


def test_a_damaged_stored_model_has_a_row_that_says_so(
    kit: Kit, tmp_path: Path, ladder: dict[str, bytes]
) -> None:
    (tmp_path / "t-Q2_K.gguf").write_bytes(ladder["Q2_K"])
    pulled = kit.pull(str(tmp_path / "t-Q2_K.gguf"), "tiny:q2_k")
    pulled.model.weights.unlink()
    (row,) = kit.quants("tiny").rows
    assert row.verdict == "unknown"
    assert "missing" in row.why


def test_a_file_is_weighed_where_it_lies(
    kit: Kit, tmp_path: Path, ladder: dict[str, bytes]
) -> None:
    (tmp_path / "t-Q2_K.gguf").write_bytes(ladder["Q2_K"])
    (row,) = kit.quants(str(tmp_path / "t-Q2_K.gguf")).rows
    assert row.fits
    (tmp_path / "mmproj.gguf").write_bytes(tiny_projector().build())
    with pytest.raises(SourceNotFound, match="is a projector, not a model"):
        kit.quants(str(tmp_path / "mmproj.gguf"))


def test_several_models_in_a_repo_are_listed_and_none_is_chosen(
    hub: FakeHub, kit: Kit, ladder: dict[str, bytes]
) -> None:
    hub.repos["org/Mix"] = HubRepo(
        {"a-Q8_0.gguf": ladder["Q8_0"], "b-Q8_0.gguf": ladder["Q2_K"]}
    )
    weighing = kit.quants("hf.co/org/Mix")
    assert [row.label for row in weighing.rows] == ["a-Q8_0.gguf", "b-Q8_0.gguf"]
    assert weighing.chosen is None


def test_that_nothing_fits_is_said_beside_the_rows(
    hub: FakeHub, kit: Kit, ladder: dict[str, bytes]
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-Q8_0.gguf": ladder["Q8_0"]})
    weighing = kit.quants("hf.co/org/Tiny", n_ctx=200_000_000)
    assert weighing.rows[0].verdict == "no"
    assert weighing.why.startswith("none of the 1 quants")
    with pytest.raises(StoreError):
        kit.pull("hf.co/org/Tiny", n_ctx=200_000_000)
