from __future__ import annotations

import pytest

from localkit.errors import UsageError
from localkit.evals.harnesses.lm_eval.generating import sampling


def test_generation_is_greedy_and_without_filters_unless_the_task_says_otherwise() -> (
    None
):
    params = sampling({"until": "\n"}, seed=3, max_gen_toks=64)
    assert (params.temperature, params.top_k, params.top_p) == (0.0, 0, 1.0)
    assert (params.stop, params.max_tokens, params.seed) == (("\n",), 64, 3)


@pytest.mark.parametrize(
    ("options", "temperature"),
    [
        ({"do_sample": False, "temperature": 0.7}, 0.0),
        ({"do_sample": True}, 1.0),
        ({"do_sample": True, "temperature": 0.3}, 0.3),
        ({"temperature": 0.5}, 0.5),
        ({"temperature": 0}, 0.0),
    ],
)
def test_do_sample_and_temperature_mean_what_they_mean_in_lm_eval(
    options: dict[str, object], temperature: float
) -> None:
    found = sampling(options, seed=0, max_gen_toks=1).temperature
    assert found == temperature


def test_every_name_of_the_token_limit_is_understood() -> None:
    for name in ("max_gen_toks", "max_new_tokens", "max_tokens"):
        assert sampling({name: 9}, seed=0, max_gen_toks=1).max_tokens == 9


def test_options_of_transformers_at_neutral_values_are_taken() -> None:
    sampling({"num_beams": 1, "use_cache": True}, seed=0, max_gen_toks=1)


@pytest.mark.parametrize("options", [{"num_beams": 4}, {"guidance_scale": 2.0}])
def test_an_option_that_would_have_no_effect_is_refused(
    options: dict[str, object],
) -> None:
    with pytest.raises(UsageError, match="does nothing here"):
        sampling(options, seed=0, max_gen_toks=1)
