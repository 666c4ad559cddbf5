from __future__ import annotations

import pytest

from localkit.errors import UsageError
from localkit.evals.comparing.axes import Axes
from localkit.evals.comparing.family import find_family
from localkit.evals.comparing.variant import PLAIN
from localkit.runtime.params import SamplingParams
from tests.evals.tiny_family import tiny_kit
from tests.fixtures.gguf import write_tiny_llama


def test_no_axis_is_one_plain_variant():
    assert Axes().variants() == (PLAIN,)


def test_one_point_applies_to_all_and_is_no_part_of_a_label():
    (variant,) = Axes(kv_type="q8_0").variants()
    assert variant.kv_type == "q8_0"
    assert variant.label == ""


def test_a_grid_holds_every_combination_the_references_first():
    variants = Axes(kv_type=["f16", "q8_0"], flash_attn=[True, False]).variants()
    assert [one.label for one in variants] == [
        "f16 KV, flash",
        "f16 KV, no flash",
        "q8_0 KV, flash",
        "q8_0 KV, no flash",
    ]
    assert (variants[3].kv_type, variants[3].flash_attn) == ("q8_0", False)


def test_points_may_have_names():
    variants = Axes(prompt={"short": "{q}", "long": "Please: {q}"}).variants()
    assert [(one.label, one.prompt) for one in variants] == [
        ("short", "{q}"),
        ("long", "Please: {q}"),
    ]


def test_sampling_params_are_told_by_what_they_change():
    variants = Axes(params=[{}, {"temperature": 0.7, "top_p": 0.8}]).variants()
    assert [one.label for one in variants] == ["greedy", "temperature 0.7 top_p 0.8"]
    assert variants[1].params == SamplingParams(
        temperature=0.7, top_p=0.8, max_tokens=256, seed=0
    )
    (alone,) = Axes(params={"temperature": 0.5}).variants()
    assert alone.params is not None
    assert alone.params.temperature == 0.5


@pytest.mark.parametrize(
    ("axes", "word"),
    [
        (Axes(kv_type="q3_0"), "q3_0"),
        (Axes(n_ctx=[0]), "0"),
        (Axes(n_ctx=[4096, 4096]), "twice"),
        (Axes(flash_attn="on"), "on"),
        (Axes(params={"heat": 1}), "heat"),
        (Axes(prompt=[]), "no prompt"),
        (Axes(n_ctx=list(range(32, 132))), "100 variants"),
    ],
)
def test_a_point_that_is_none_is_refused_with_its_value(axes, word):
    with pytest.raises(UsageError, match=word):
        axes.variants()


def test_every_quant_stands_at_every_point(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    variants = Axes(kv_type=["f16", "q8_0"]).variants()
    family = find_family(kit.store, "tiny", variants=variants)
    assert [one.label for one in family.candidates] == [
        "F16, f16 KV",
        "F16, q8_0 KV",
        "Q8_0, f16 KV",
        "Q8_0, q8_0 KV",
    ]
    assert family.reference.label == "F16, f16 KV"


def test_a_reference_that_was_not_asked_for_stands_once(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    variants = Axes(kv_type=["f16", "q8_0"]).variants()
    family = find_family(kit.store, "tiny", quants=["Q8_0"], variants=variants)
    assert [one.label for one in family.candidates] == [
        "F16, f16 KV",
        "Q8_0, f16 KV",
        "Q8_0, q8_0 KV",
    ]


def test_another_model_stands_beside_the_family_and_is_no_kin(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    path = write_tiny_llama(tmp_path / "other.gguf", n_layers=3)
    kit.store.add(path, "other:f16")
    family = find_family(
        kit.store, "tiny", against=["other:f16", "gpt@https://example.org/v1"]
    )
    other = family.candidates[-1]
    assert other.label.endswith("other:f16")
    assert "another model" in other.stranger
    assert [one.label for one in family.kin.candidates] == ["F16", "Q8_0"]
    assert [one.address for one in family.remotes] == ["gpt@https://example.org/v1"]


def test_a_tag_that_is_named_is_meant_alone(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0", "q8_0-imatrix": "Q8_0"})
    family = find_family(kit.store, "tiny", quants=["q8_0"])
    assert [one.model.ref.tag for one in family.candidates] == ["f16", "q8_0"]
