from __future__ import annotations

from dataclasses import replace

from localkit.evals.comparing.variant import Variant
from localkit.evals.memory.plans import context_lengths, max_ctx, plans
from tests.evals.fakes import info


def test_a_curve_goes_by_powers_of_two_to_the_training_context():
    assert context_lengths(info()) == (512, 1024, 2048, 4096)
    odd = replace(info(), n_ctx_train=3000)
    assert context_lengths(odd) == (512, 1024, 2048, 3000)
    assert context_lengths(replace(info(), n_ctx_train=256)) == (256,)


def test_a_model_that_does_not_say_its_training_context_gets_a_curve_that_ends():
    assert context_lengths(replace(info(), n_ctx_train=0))[-1] == 131072


def test_plans_keep_the_weights_and_grow_with_the_context():
    found = plans(info())
    assert [plan.n_ctx for plan in found] == [512, 1024, 2048, 4096]
    assert {plan.weights for plan in found} == {2000}
    assert found[-1].kv == 8 * found[0].kv
    totals = [plan.total for plan in found]
    assert totals == sorted(totals)


def test_a_smaller_kv_type_takes_less_and_reaches_further():
    wide = replace(info(), head_dim_k=64, head_dim_v=64, n_layers=8, n_ctx_train=65536)
    plain, small = plans(wide)[-1], plans(wide, Variant(kv_type="q8_0"))[-1]
    assert small.kv * 2 == plain.kv * 34 // 32
    budget = plain.total // 2
    assert max_ctx(wide, budget) < max_ctx(wide, budget, Variant(kv_type="q8_0"))


def test_the_longest_context_fits_and_the_next_does_not():
    wide = replace(info(), head_dim_k=64, head_dim_v=64, n_layers=8, n_ctx_train=65536)
    budget = plans(wide, ctxs=[10_000])[0].total
    longest = max_ctx(wide, budget)
    assert plans(wide, ctxs=[longest])[0].total <= budget
    assert plans(wide, ctxs=[longest + 256])[0].total > budget


def test_nothing_fits_no_budget():
    assert max_ctx(info(), 0) == 0
