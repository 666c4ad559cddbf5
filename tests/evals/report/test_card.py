from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from localkit.evals.report.card import model_card
from tests.evals.constructed import comparison, ladder, reference, row, widened

# What YAML would read as something else, or not at all.
HOSTILE = "a: b\n- c #d \"e\" 'f' {g} \\ \u2028 \x07 é \U0001f600 ---"


def results(text: str) -> dict[tuple[str, str], object]:
    """Return the hub's own reading, by data set and metric, of the last candidate."""
    found = ModelCard(text).data.eval_results
    return {(one.dataset_name, one.metric_type): one for one in found}


def test_the_hub_reads_every_figure_with_its_interval_reference_and_text():
    read = results(model_card(comparison()))
    kld = read["jargon-file", "kl_divergence"]
    assert kld.metric_value == 0.4716
    assert kld.metric_name == "Mean KL divergence from F16, nats per token"
    assert kld.metric_args["low"] < 0.4716 < kld.metric_args["high"]
    assert kld.metric_args["reference"].startswith("sha256:")
    assert kld.metric_args["n_tokens"] == 4080
    assert kld.dataset_revision == "sha256:" + "c" * 64
    assert kld.dataset_args["comparability"] == "0123456789abcdef"
    accuracy = read["hellaswag", "accuracy"]
    assert accuracy.metric_value == 0.31
    assert accuracy.metric_args["n_items"] == 100


def test_texts_and_tasks_each_have_their_place():
    one = comparison([widened(each) for each in ladder()])
    corpora = tuple(
        one.setup.corpus._replace(name=name) for name in ("prose", "code", "german")
    )
    read = results(model_card(replace(one, setup=replace(one.setup, corpora=corpora))))
    assert {("prose", "perplexity"), ("german", "kl_divergence")} <= set(read)
    assert ("json", "schema-valid") in read


def test_the_block_says_who_measured_what_with_what_and_when():
    text = model_card(comparison())
    body = text.partition("\n---\n")[2]
    for needed in (
        "| **Q4_K_M** |",
        "Reference: F16, sha256:",
        "jargon-file (4,080 tokens, sha256:",
        "hellaswag (n=100, ",
        "llama.cpp on a processor, 2026-01-02, localkit 0.1.0",
        "comparability key 0123456789abcdef",
        "`localkit compare smollm2`",
    ):
        assert needed in body, needed


def test_N1_a_hostile_name_stays_a_name():
    one = comparison()
    named = replace(one, setup=replace(one.setup, model=HOSTILE))
    index = ModelCard(model_card(named)).data
    assert index.model_name.startswith("a: b\n- c #d")
    assert index.model_name.removesuffix("-Q2_K") == HOSTILE


@pytest.mark.parametrize(
    "rows", [[reference(), row("Q8_0")], [reference(quality=None)]]
)
def test_E2_what_was_not_scored_is_no_metric(rows):
    text = model_card(comparison(rows))
    assert "NaN" not in text
    assert "null" not in text
