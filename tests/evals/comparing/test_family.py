from __future__ import annotations

import pytest

from localkit.errors import ModelNotFound, NotComparable, UsageError
from localkit.evals.comparing.family import find_family
from localkit.gguf.types import nominal_bits
from tests.evals.tiny_family import add_tiny, tiny_kit
from tests.fixtures.gguf import write_tiny_llama


def labels(family):
    return [candidate.label for candidate in family.candidates]


def test_every_tag_of_a_model_is_a_candidate_and_the_finest_is_the_reference(tmp_path):
    family = find_family(tiny_kit(tmp_path).store, "tiny")
    assert family.reference.label == "F16"
    assert set(labels(family)) == {"F16", "Q8_0", "Q4_0", "Q2_K"}
    assert labels(family)[0] == "F16"


def test_quants_are_picked_by_label_in_any_case_beside_the_reference(tmp_path):
    family = find_family(tiny_kit(tmp_path).store, "tiny", quants=["q4_0", "Q8_0"])
    assert set(labels(family)) == {"F16", "Q8_0", "Q4_0"}


def test_a_tag_means_that_quant_against_the_reference(tmp_path):
    family = find_family(tiny_kit(tmp_path).store, "tiny:q4_0")
    assert labels(family) == ["F16", "Q4_0"]


def test_a_quant_that_is_not_there_names_the_way_to_make_it(tmp_path):
    kit = tiny_kit(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_family(kit.store, "tiny", quants=["Q8_0", "Q5_K_M", "Q6_K"])
    assert caught.value.one_line() == (
        "no Q5_K_M, Q6_K of tiny is in the store → make it: `%llm quantize tiny "
        "Q5_K_M`; here are F16, Q2_K, Q4_0, Q8_0"
    )


def test_an_unknown_model_is_not_found(tmp_path):
    with pytest.raises(ModelNotFound):
        find_family(tiny_kit(tmp_path).store, "tinny")


def test_the_reference_can_be_named(tmp_path):
    family = find_family(tiny_kit(tmp_path).store, "tiny", reference="Q8_0")
    assert family.reference.label == "Q8_0"


def test_two_tags_of_the_same_weights_are_measured_once(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q4_0": "Q4_0"})
    kit.store.add(tmp_path / "tiny-q4_0.gguf", "tiny:latest")
    family = find_family(kit.store, "tiny")
    assert labels(family) == ["F16", "Q4_0"]
    assert str(family.candidates[1].model.ref) == "tiny:q4_0"


def test_two_files_of_one_quant_are_told_apart_by_their_tags(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q4_0": "Q4_0", "q4_0-new": "Q4_0"})
    assert set(labels(find_family(kit.store, "tiny"))) == {
        "F16",
        "Q4_0 (q4_0)",
        "Q4_0 (q4_0-new)",
    }


def test_another_model_under_the_same_name_is_left_out_and_said_so(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q4_0": "Q4_0"})
    path = write_tiny_llama(tmp_path / "large.gguf", n_layers=3, seed=9)
    kit.store.add(path, "tiny:large")
    family = find_family(kit.store, "tiny", reference="q4_0")
    assert "tiny:large was left out: it is another model" in family.remarks[0]


def test_another_model_that_was_asked_for_is_refused(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16"})
    path = write_tiny_llama(tmp_path / "other.gguf", vocab="spm", seed=9)
    kit.store.add(path, "tiny:other")
    with pytest.raises(NotComparable, match="another tokenizer"):
        find_family(kit.store, "tiny", quants=["other"], reference="f16")


def test_a_file_expanded_from_a_coarse_one_is_no_finer_than_its_origin(tmp_path):
    kit = tiny_kit(tmp_path, {"q8_0": "Q8_0"})
    add_tiny(kit, tmp_path, "tiny:f16", "F16", seed=5, localkit__lossy_origin="Q4_1")
    assert find_family(kit.store, "tiny").reference.label == "Q8_0"


def test_a_file_expanded_from_a_coarse_one_stands_above_its_origin(tmp_path):
    kit = tiny_kit(tmp_path, {"q4_1": "Q4_1"})
    add_tiny(kit, tmp_path, "tiny:f16", "F16", seed=5, localkit__lossy_origin="Q4_1")
    assert find_family(kit.store, "tiny").reference.label == "F16"


@pytest.mark.parametrize(
    ("quant", "bits"),
    [("F32", 32), ("BF16", 16), ("Q8_0", 8), ("Q4_K_M", 4), ("IQ3_XXS", 3), ("?", 0)],
)
def test_a_label_names_its_bits(quant, bits):
    assert nominal_bits(quant) == bits
