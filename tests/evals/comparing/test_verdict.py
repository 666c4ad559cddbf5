from __future__ import annotations

from dataclasses import replace

import pytest

from localkit.evals.comparing.row import KldStep, Row, TaskResult
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
    **limits: float,
) -> Verdict:
    budget = replace(BUDGET, n_bytes=budget_mib * MIB, asked=asked)
    judged = [
        replace(one, excluded=exclusion(one, budget=budget, max_kld=max_kld, **limits))
        for one in rows
    ]
    return decide(judged, budget=budget, max_kld=max_kld, steps=steps, **limits)


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
        "On hellaswag no difference you could detect at n=100: Q8_0, Q6_K, Q5_K_M, "
        "Q4_K_M, Q4_0 and Q3_K_M against F16 (Holm-adjusted p ≥ 0.60; a loss of up to "
        "9.0 points stays possible)"
    )


def test_items_needed_are_named_for_the_difference_nearest_to_showing():
    rows = [
        reference(tasks=(task(42),)),
        replace(candidate("Q4_0", kld=0.01, decode=60), tasks=(task(38, p_holm=0.4),)),
    ]
    assert verdict(rows).reasons[-1] == (
        "On hellaswag no difference you could detect at n=100: any of them against "
        "F16 (Holm-adjusted p ≥ 0.40; a loss of up to 9.0 points stays possible); to "
        "settle the widest one seen, 4.0 points, would take about 1,900 items."
    )


def test_the_rule_is_printed_with_its_numbers():
    rule = verdict(ladder(), max_kld=0.02).rule
    assert rule.startswith("Rule: of the candidates that fit the 512 MiB of memory")
    assert "at most 0.02 nats" in rule


def prompts(right: int, *, n: int, half: float, name: str = "mine", **changes: object):
    """Return a result against a reference that got 24 of 30 right."""
    share = right / n
    return replace(
        task(right, n=n),
        name=name,
        difference=estimate(share - 0.8, half, n),
        **({"n_needed": None} | changes),
    )


def tasks_only(*results: tuple[str, float, TaskResult]) -> list[Row]:
    """Return rows of a comparison that measured no text."""
    asked = replace(prompts(24, n=30, half=0.0), difference=None)
    return [
        reference(quality=None, tasks=(asked,)),
        *(
            row(label, speed=speed(decode), memory=memory(100), tasks=(result,))
            for label, decode, result in results
        ),
    ]


def test_a_speed_budget_takes_the_closest_that_is_fast_enough():
    found = verdict(ladder(), min_decode_per_s=50)
    assert found.pick == "Q5_K_M"
    assert "Closer but too slow: Q6_K (decodes 49.5 tok/s)." in found.reasons
    assert "whose median decode is at least 50 tok/s, take the lowest KL" in found.rule


def test_of_candidates_that_kl_cannot_tell_apart_a_speed_budget_takes_the_fastest():
    alike = (KldStep("Q5_K_M", "Q4_K_M", estimate(0.001, 0.002)),)
    found = verdict(ladder(), min_decode_per_s=50, steps=alike)
    assert found.pick == "Q4_K_M"
    assert found.reasons[0] == (
        "Q5_K_M cannot be told from it by KL divergence; Q4_K_M is the fastest of "
        "these."
    )


def test_a_candidate_below_the_speed_budget_says_how_fast_it_is():
    slow = candidate("Q8_0", kld=0.001, decode=18.2)
    found = exclusion(slow, budget=BUDGET, max_kld=0.05, min_decode_per_s=20)
    assert found == ("speed", "decodes 18.2 tok/s")


def test_a_loss_budget_holds_the_paired_interval_to_it_not_the_mean():
    # Differences are 0 ± 5 points for Q4_K_M and 1 ± 5 for Q6_K.
    assert verdict(ladder(), max_loss=0.055).pick == "Q4_K_M"
    strict = verdict(ladder(), max_loss=0.045)
    assert strict.pick == "Q6_K"
    assert "loss on hellaswag has a 95 % upper bound of at most 4.5 points" in (
        strict.rule
    )


def test_the_worst_of_several_tasks_is_held_to_the_loss_budget():
    two = candidate("Q4_0", kld=0.001, decode=90)
    two = replace(
        two,
        tasks=(
            prompts(24, n=30, half=0.01, name="json"),
            prompts(21, n=30, half=0.01, name="arithmetic"),
        ),
    )
    found = exclusion(two, budget=BUDGET, max_kld=0.05, max_loss=0.05)
    assert found == ("quality", "arithmetic: loses up to 11.0 points")


@pytest.mark.parametrize("lacking", [(), (prompts(3, n=30, half=float("nan")),)])
def test_E2_a_loss_budget_is_never_passed_by_what_was_not_asked(lacking):
    unasked = replace(candidate("Q4_0", kld=0.001, decode=90), tasks=lacking)
    found = exclusion(unasked, budget=BUDGET, max_kld=0.05, max_loss=0.05)
    assert found is not None
    assert found.because == "unmeasured"


def test_thirty_prompts_that_show_nothing_say_so_and_how_many_would():
    found = verdict(tasks_only(("Q4_0", 60, prompts(24, n=30, half=0.13))))
    assert found.pick == "F16"
    assert found.reasons == (
        "Faster but outside the tolerance: Q4_0 (mine: loses up to 13.0 points, "
        "60.0 tok/s, 100 % faster).",
        "On mine no difference you could detect at n=30: any of them against F16 "
        "(Holm-adjusted p ≥ 1.00; a loss of up to 13.0 points stays possible).",
        "Whether Q4_0 loses at most 5 points on mine is open at n=30: if the two are "
        "equal, about 415 items would show it.",
    )
    assert "KL" not in found.rule


def test_enough_prompts_let_the_faster_one_be_taken_by_its_score():
    found = verdict(tasks_only(("Q4_0", 60, prompts(560, n=700, half=0.03))))
    assert found.pick == "Q4_0"
    assert found.headline.endswith(
        "its score on mine differs from that of F16 by 0.0 points, 95 % −3.0 to 3.0."
    )
    assert "loss on mine has a 95 % upper bound of at most 5 points" in found.rule


def test_a_loss_that_is_detected_is_named_and_leaves_no_question_open():
    worse = prompts(18, n=30, half=0.15, p_holm=0.01)
    found = verdict(tasks_only(("Q2_K", 60, worse)))
    assert found.pick == "F16"
    assert found.reasons[-1] == (
        "mine tells apart from F16: Q2_K (−20.0 points, 95 % −35.0 to −5.0)."
    )


def test_several_tasks_have_a_sentence_each():
    rows = [
        reference(tasks=(task(42),)),
        replace(
            candidate("Q4_0", kld=0.01, decode=60),
            tasks=(task(40), replace(task(42), name="json", n_needed=None)),
        ),
    ]
    told = [line for line in verdict(rows).reasons if "no difference" in line]
    assert [line.split()[1] for line in told] == ["hellaswag", "json"]


def test_where_nothing_leans_the_items_for_five_points_are_named():
    level = replace(task(42), n_needed=None)
    rows = [reference(tasks=(task(42),)), *ladder()[1:2]]
    rows[1] = replace(rows[1], tasks=(level,))
    assert (
        verdict(rows)
        .reasons[-1]
        .endswith("; one of 5 points would show with about 205 items.")
    )
