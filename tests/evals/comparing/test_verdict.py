from __future__ import annotations

from dataclasses import replace

import pytest

from localkit.evals.comparing.row import KldStep, Row
from localkit.evals.comparing.verdict import Verdict, decide, exclusion
from tests.evals.constructed import (
    BUDGET,
    MIB,
    estimate,
    ladder,
    memory,
    quality,
    reference,
    row,
    speed,
    task,
)


def verdict(
    rows: list[Row],
    *,
    budget_mib: int = 512,
    max_kld: float = 0.05,
    steps: tuple[KldStep, ...] = (),
    asked: bool = True,
) -> Verdict:
    budget = replace(BUDGET, n_bytes=budget_mib * MIB, asked=asked)
    judged = [
        replace(one, excluded=exclusion(one, budget=budget, max_kld=max_kld))
        for one in rows
    ]
    return decide(judged, budget=budget, max_kld=max_kld, steps=steps)


def candidate(label: str, *, kld: float, decode: float, mib: float = 100) -> Row:
    return row(
        label,
        quality=quality(kld, kld / 10),
        speed=speed(decode),
        memory=memory(mib),
    )


def test_the_fastest_within_budget_and_tolerance_is_taken():
    assert verdict(ladder()).pick == "Q4_K_M"


def test_the_headline_names_memory_budget_speed_and_loss():
    assert verdict(ladder()).headline == (
        "Run Q4_K_M (6.17 bits per weight, 100 MiB file): it needs 288 MiB at 4096 "
        "tokens of context, within the 512 MiB of memory asked for; it decodes 58.5 "
        "tok/s, and its mean KL divergence from F16 is 0.0412 ± 0.0060 nats."
    )


def test_a_budget_that_nobody_named_is_called_available():
    headline = verdict(ladder(), asked=False).headline
    assert "within the 512 MiB of memory available on this machine" in headline


def test_the_runner_ups_on_both_sides_are_named_with_their_figures():
    reasons = verdict(ladder()).reasons
    assert "Closer but slower: Q5_K_M (KL 0.023, 53.0 tok/s, 9 % slower)." in reasons
    assert (
        "Faster but outside the tolerance: Q4_0 (KL 0.0690 ± 0.0080, 71.0 tok/s, "
        "21 % faster)."
    ) in reasons


def test_a_closer_candidate_over_the_budget_is_named_with_what_it_needs():
    reasons = verdict(ladder(), budget_mib=290).reasons
    assert "Closer but too large: Q5_K_M (needs 296 MiB)." in reasons


def test_speeds_that_repetitions_cannot_tell_apart_give_way_to_the_lower_kl():
    rows = [
        reference(),
        candidate("Q5_K_M", kld=0.010, decode=60.2),
        candidate("Q4_K_M", kld=0.030, decode=60.7),
    ]
    found = verdict(rows)
    assert found.pick == "Q5_K_M"
    assert found.reasons[0] == (
        "Q4_K_M cannot be told from it by decode speed (3 repetitions); Q5_K_M is "
        "the closest of these to the reference."
    )


def test_the_reference_wins_a_tie_whatever_its_own_floor():
    rows = [
        reference(speed=speed(60.0), quality=quality(0.002, 0.0001)),
        candidate("Q8_0", kld=0.001, decode=60.4),
    ]
    assert verdict(rows).pick == "F16"


def test_when_nothing_fits_the_smallest_is_named():
    found = verdict(ladder(), budget_mib=128)
    assert found.pick is None
    assert found.headline == (
        "No candidate fits the 128 MiB of memory asked for at 4096 tokens of "
        "context. The smallest is Q2_K: needs 272 MiB."
    )


def test_when_all_that_fits_is_too_lossy_the_closest_is_named():
    found = verdict(ladder(), budget_mib=280)
    assert found.pick is None
    assert found.headline == (
        "No candidate qualifies. The closest that fits the 280 MiB of memory asked "
        "for is Q4_0: KL up to 0.077."
    )


def test_the_reference_alone_is_recommended_as_what_it_is():
    found = verdict([reference()])
    assert found.pick == "F16"
    assert found.headline.endswith("and it is the reference itself.")
    assert found.reasons == ()


def test_a_kl_bound_above_the_tolerance_excludes_a_mean_below_it():
    rows = [reference(), row("Q4_0", quality=quality(0.04, 0.02), memory=memory(80))]
    assert verdict(rows).pick == "F16"


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ({"quality": None}, "KL not scored"),
        ({"quality": quality(float("nan"), 0.0)}, "KL not scored"),
        ({"speed": None}, "decode speed not measured"),
        ({"memory": None}, "memory not measured"),
        ({"memory": None, "note": "the child was killed"}, "the child was killed"),
    ],
)
def test_E2_an_unscored_candidate_is_never_taken(lacking, reason):
    unscored = replace(candidate("Q4_0", kld=0.001, decode=500), **lacking)
    excluded = exclusion(unscored, budget=BUDGET, max_kld=0.05)
    assert excluded is not None
    assert excluded.text == reason
    assert verdict([reference(), unscored]).pick == "F16"


def test_one_chunk_gives_no_interval_and_so_no_recommendation():
    no_interval = estimate(0.01, float("nan"))
    lone = row(
        "Q8_0",
        quality=replace(quality(0.01, 0.001), kld=no_interval),
        speed=speed(90),
        memory=memory(100),
    )
    assert verdict([reference(), lone]).pick == "F16"


def test_neighbours_whose_paired_kl_touches_zero_are_said_to_be_alike():
    steps = (
        KldStep("Q8_0", "Q6_K", estimate(0.0002, 0.0005)),
        KldStep("Q6_K", "Q5_K_M", estimate(0.0149, 0.0020)),
    )
    told = [line for line in verdict(ladder(), steps=steps).reasons if "KL div" in line]
    assert told == [
        "KL divergence does not tell Q6_K from Q8_0 (paired difference −0.00030 to "
        "0.00070)."
    ]


def test_task_differences_are_reported_only_where_holm_leaves_them():
    reasons = verdict(ladder()).reasons
    assert reasons[-2] == (
        "hellaswag tells apart from F16: Q2_K (−11.0 points, 95 % −16.0 to −6.0)."
    )
    assert reasons[-1].startswith(
        "On hellaswag (100 items) no difference you could detect: Q8_0, Q6_K, "
        "Q5_K_M, Q4_K_M, Q4_0 and Q3_K_M against F16 (Holm-adjusted p ≥ 0.60)"
    )


def test_items_needed_are_named_for_the_difference_nearest_to_showing():
    rows = [
        reference(tasks=(task(42),)),
        replace(candidate("Q4_0", kld=0.01, decode=60), tasks=(task(38, p_holm=0.4),)),
    ]
    assert verdict(rows).reasons[-1] == (
        "On hellaswag (100 items) no difference you could detect: any of them against "
        "F16 (Holm-adjusted p ≥ 0.40); to settle the widest one seen, 4.0 points, "
        "would take about 1,900 items."
    )


def test_the_rule_is_printed_with_its_numbers():
    rule = verdict(ladder(), max_kld=0.02).rule
    assert rule.startswith("Rule: of the candidates that fit the 512 MiB of memory")
    assert "at most 0.02 nats" in rule
