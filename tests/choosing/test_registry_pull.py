"""A registry's model without a tag: what is weighed, and what is taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import SourceNotFound, StoreError
from tests.fixtures.gguf import tiny_llama
from tests.fixtures.registry import MODEL_TYPE, Answer, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from localkit.kit import Kit


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        yield registry


def serve(
    registry: HostileRegistry,
    tags: Mapping[str, bytes],
    *,
    size: str = "19M",
    quants: Mapping[str, str] | None = None,
) -> str:
    """Serve files of weights under tags; return the model's ref without a tag."""
    for tag, data in tags.items():
        config = {
            "model_format": "gguf",
            "model_family": "llama",
            "model_type": size,
            "file_type": (quants or {}).get(tag, tag.upper()),
        }
        registry.add_model(
            "library/tiny",
            tag,
            [(MODEL_TYPE, data)],
            config=json.dumps(config).encode(),
        )
    return f"{registry.host}/library/tiny"


def test_the_largest_tag_that_fits_is_taken_and_said(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(registry, {label.lower(): data for label, data in ladder.items()})
    pulled = kit.pull(name)
    assert str(pulled.model.ref) == f"{name}:q8_0"
    assert pulled.weighing is not None
    assert [row.label for row in pulled.weighing.rows] == [
        "f16",
        "q8_0",
        "q4_k_m",
        "q2_k",
    ]
    assert pulled.weighing.why.startswith("q8_0 is the largest of the 4 of 4 that fit")
    assert pulled.downloaded == len(ladder["Q8_0"]) + pulled.model.manifest.config.size
    # Besides what was pulled, the start of the smallest file and the configs.
    beside = registry.blob_bytes_sent - pulled.downloaded
    assert beside < (2 << 20) + 4 * 1024


def test_tags_of_one_file_count_once_and_the_telling_one_names_it(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(
        registry,
        {"latest": ladder["Q4_K_M"], "small-q4_k_m": ladder["Q4_K_M"]},
        quants={"latest": "Q4_K_M", "small-q4_k_m": "Q4_K_M"},
    )
    pulled = kit.pull(name)
    assert str(pulled.model.ref) == f"{name}:small-q4_k_m"
    assert pulled.weighing is not None
    assert len(pulled.weighing.rows) == 1


def test_tags_of_another_size_than_latest_are_left_out_and_said(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    big = tiny_llama(n_embd=512, n_layers=12).build()
    serve(registry, {"70b-f16": big}, size="70B", quants={"70b-f16": "F16"})
    name = serve(
        registry,
        {"latest": ladder["Q4_K_M"], "q8_0": ladder["Q8_0"]},
        quants={"latest": "Q4_K_M"},
    )
    pulled = kit.pull(name)
    assert pulled.model.ref.tag == "q8_0"
    assert pulled.weighing is not None
    assert pulled.weighing.notes == (
        "left out, because latest is another model: 70b-f16",
    )


def test_tags_of_several_models_without_latest_must_be_named(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    serve(registry, {"a": ladder["Q4_K_M"]}, size="1B")
    name = serve(registry, {"b": ladder["Q2_K"]}, size="2B")
    with pytest.raises(SourceNotFound, match="of 2 models") as caught:
        kit.pull(name)
    assert caught.value.hint == "name one: a, b"


def test_a_registry_that_lists_no_tags_gives_latest_and_says_so(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(registry, {"latest": ladder["Q2_K"]})
    registry.answer("/tags/list", Answer(404))
    pulled = kit.pull(name)
    assert str(pulled.model.ref) == f"{name}:latest"
    assert pulled.weighing is None
    assert pulled.notes == (
        f"{registry.host} lists no tags, so latest was taken unweighed",
    )


def test_a_named_tag_asks_for_no_list(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(registry, {"q2_k": ladder["Q2_K"], "q8_0": ladder["Q8_0"]})
    pulled = kit.pull(f"{name}:q2_k", "mine")
    assert str(pulled.model.ref) == "mine:q2_k"
    assert registry.requests("/tags/list") == []


def test_too_many_tags_are_not_asked_for_one_by_one(
    registry: HostileRegistry, kit: Kit
) -> None:
    tags = {"name": "library/tiny", "tags": [f"t{n}" for n in range(65)]}
    registry.answer("/tags/list", Answer(body=json.dumps(tags).encode()))
    with pytest.raises(SourceNotFound, match="65 tags"):
        kit.pull(f"{registry.host}/library/tiny")
    assert registry.requests("/manifests/") == []


def test_a_tag_that_is_no_model_is_left_out_and_said(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(registry, {"q2_k": ladder["Q2_K"]})
    registry.add_manifest("library/tiny", "broken", b"{}")
    pulled = kit.pull(name)
    assert pulled.model.ref.tag == "q2_k"
    assert pulled.weighing is not None
    assert pulled.weighing.notes[0].startswith("broken is left out: ")


def test_weights_that_are_no_gguf_are_not_chosen(
    registry: HostileRegistry, kit: Kit
) -> None:
    name = serve(registry, {"q2_k": b"<html>" * 1000})
    with pytest.raises(StoreError, match="is not a GGUF"):
        kit.pull(name)


def test_quants_of_a_registry_are_weighed_before_a_download(
    registry: HostileRegistry, kit: Kit, ladder: dict[str, bytes]
) -> None:
    name = serve(registry, {label.lower(): data for label, data in ladder.items()})
    rows = kit.quants(name).rows
    assert [row.label for row in rows] == ["f16", "q8_0", "q4_k_m", "q2_k"]
    assert all(row.fits and row.bits_per_weight for row in rows)
    (one,) = kit.quants(f"{name}:q2_k").rows
    assert one.label == "q2_k"
    assert kit.store.list() == []
