"""What is the same answer, what is near enough, and what is a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from localkit.regression.checking import check_cell
from localkit.regression.finding import Outcome, Rules
from tests.fixtures.regression import shown

Figures = Callable[..., dict[str, Any]]

SKY = "The sky is blue because air scatters short waves more than long ones."
NEAR = "The sky is blue because air scatters short waves more than the long ones."
FAR = "Bananas grow in bunches and are picked while they are still green."
ISA = {"receipt__runtime__features": "AVX AVX2 AVX512"}


def judged(
    saved: dict[str, Any],
    fresh: dict[str, Any],
    *,
    rules: Rules | None = None,
    tags: tuple[str, ...] = (),
) -> Outcome:
    return check_cell(
        3, "%%llm", [saved], [fresh], rules=rules or Rules(), tags=frozenset(tags)
    )


def words(outcome: Outcome) -> str:
    return "\n".join(one.words for one in outcome.findings)


def test_the_same_text_is_the_same(figures: Figures) -> None:
    assert judged(shown(SKY, figures()), shown(SKY, figures())).standing == "same"


def test_with_the_same_fingerprint_one_other_word_is_a_change(figures: Figures) -> None:
    outcome = judged(shown(SKY, figures()), shown(NEAR, figures()))
    assert outcome.standing == "changed"
    assert 'from word 12: "long" → "the"' in words(outcome)
    assert "nothing that it was made with changed" in words(outcome)


def test_a_drawn_seed_is_nothing_to_a_greedy_answer(figures: Figures) -> None:
    fresh = figures(receipt__params__seed=99)
    assert judged(shown(SKY, figures()), shown(NEAR, fresh)).standing == "changed"


def test_low_bits_that_moved_stay_within_the_bands(figures: Figures) -> None:
    outcome = judged(shown(SKY, figures()), shown(NEAR, figures(**ISA)))
    assert outcome.standing == "within"
    assert "the instruction sets changed: AVX AVX2 → AVX AVX2 AVX512" in words(outcome)
    assert "(chrF), at least 0.4" in words(outcome)


def test_another_text_is_outside_the_bands(figures: Figures) -> None:
    outcome = judged(shown(SKY, figures()), shown(FAR, figures(**ISA)))
    assert outcome.standing == "changed"


def test_other_counts_of_reused_tokens_are_other_batches(figures: Figures) -> None:
    outcome = judged(shown(SKY, figures()), shown(NEAR, figures(n_reused=30)))
    assert outcome.standing == "within"
    exact = {"receipt__exact": True}
    outcome = judged(
        shown(SKY, figures(**exact)), shown(NEAR, figures(**exact, n_reused=30))
    )
    assert outcome.standing == "changed"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"receipt__weights_digest": "sha256:" + "c" * 64, "receipt__quant": "Q4_0"},
            "the weights changed: Q4_K_M sha256:aaaaaaaaaaaa… → "
            "Q4_0 sha256:cccccccccccc…",
        ),
        (
            {"receipt__template_digest": "sha256:" + "8" * 64},
            "the chat template changed: jinja sha256:777777777777… → "
            "jinja sha256:888888888888…",
        ),
        ({"receipt__adapters": ["pirate × 1"]}, "the adapters changed: none → pirate"),
    ],
)
def test_another_model_is_a_change_even_with_the_same_text(
    figures: Figures, changed: dict[str, Any], says: str
) -> None:
    saved, fresh = shown(SKY, figures()), shown(SKY, figures(**changed))
    outcome = judged(saved, fresh)
    assert outcome.standing == "changed"
    assert says in words(outcome)
    allowed = judged(saved, fresh, rules=Rules(allow_change=True))
    assert allowed.standing == "same"
    assert "(allowed)" in words(allowed)


def test_without_a_seed_only_the_form_is_judged(figures: Figures) -> None:
    warm = {"receipt__params__temperature": 0.8}
    saved = figures(**warm)
    fresh = figures(**warm, receipt__params__seed=99)
    outcome = judged(shown(SKY, saved), shown(FAR, fresh))
    assert outcome.standing == "noted"
    assert "only its form was judged" in words(outcome)
    tagged = judged(shown(SKY, saved), shown(FAR, fresh), tags=("localkit-band",))
    assert tagged.standing == "changed"


def test_a_given_seed_fixes_the_text(figures: Figures) -> None:
    warm = figures(receipt__params__temperature=0.8)
    assert judged(shown(SKY, warm), shown(NEAR, warm)).standing == "changed"


def test_a_tag_asks_for_the_exact_text_or_for_the_bands(figures: Figures) -> None:
    saved, moved = shown(SKY, figures()), shown(NEAR, figures(**ISA))
    assert judged(saved, moved, tags=("localkit-exact",)).standing == "changed"
    same = shown(NEAR, figures())
    assert judged(saved, same, tags=("localkit-band",)).standing == "within"


def test_what_was_asked_otherwise_is_said(figures: Figures) -> None:
    fresh = figures(receipt__params__top_k=1)
    outcome = judged(shown(SKY, figures()), shown(SKY, fresh))
    assert outcome.standing == "same"
    assert "top_k changed: 40 → 1" in words(outcome)


SCHEMA = {
    "type": "object",
    "required": ["age"],
    "properties": {"age": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("kind", "form", "before", "after", "standing", "says"),
    [
        ("json_schema", SCHEMA, '{"age": 3}', '{"age": 4}', "within", "similarity"),
        ("json_schema", SCHEMA, '{"age": 3}', '{"age": "x"}', "changed", "its form"),
        ("json_schema", SCHEMA, '{"age": 3}', '{"age": 3', "changed", "not JSON"),
        ("json", "", '{"age": 3}', "[3]", "changed", "its form"),
        ("choice", ["yes", "no"], "yes", "no", "changed", "another choice"),
        ("choice", ["yes", "no"], "yes", "maybe", "changed", "no choice"),
    ],
)
def test_an_answer_of_a_fixed_form_is_held_to_it(
    figures: Figures,
    kind: str,
    form: Any,
    before: str,
    after: str,
    standing: str,
    says: str,
) -> None:
    structure = {"kind": kind, "text": json.dumps(form)}
    asked = {"receipt__params__structure": structure}
    outcome = judged(
        shown(before, figures(**asked)), shown(after, figures(**asked, **ISA))
    )
    assert outcome.standing == standing
    assert says in words(outcome)


def test_notes_and_thinking_are_not_the_answer(figures: Figures) -> None:
    saved = figures(note="kept from an earlier run")
    before = f"[thinking]\nHm.\n[answer]\n{SKY}\n[kept from an earlier run]"
    assert judged(shown(before, saved), shown(SKY, figures())).standing == "same"


def test_an_answer_that_was_stopped_is_not_compared(figures: Figures) -> None:
    saved = figures(finish_reason="interrupted")
    assert judged(shown("The", saved), shown(SKY, figures())).standing == "noted"
    assert judged(shown(SKY, figures()), shown("The", saved)).standing == "changed"


def test_several_answers_in_one_output_are_compared_one_by_one(
    figures: Figures,
) -> None:
    both = {"answers": [figures(), figures(receipt__ref="other")]}
    text = "── smollm2 ──\n{}\n\n── other ──\n{}"
    saved = shown(text.format(SKY, FAR), both)
    assert judged(saved, saved).standing == "same"
    outcome = judged(saved, shown(text.format(SKY, NEAR), both))
    assert [one.standing for one in outcome.findings] == ["same", "changed"]


def test_several_answers_that_cannot_be_told_apart_are_compared_as_one(
    figures: Figures,
) -> None:
    both = {"answers": [figures(), figures()]}
    outcome = judged(shown(SKY, both), shown(NEAR, both))
    assert outcome.standing == "changed"


def test_an_answer_that_is_missing_is_a_change(figures: Figures) -> None:
    outcome = judged(shown(SKY, figures()), shown(SKY))
    assert outcome.standing == "changed"
    assert "shows no result where 1 answer was saved" in words(outcome)


def test_other_outputs_are_not_compared() -> None:
    assert judged(shown("1"), shown("2")).failures == []


def test_what_was_done_in_a_widget_is_not_run_again(figures: Figures) -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}
    widget = {"output_type": "display_data", "data": view, "metadata": {}}
    outcome = check_cell(
        1, "", [widget, shown(SKY, figures())], [shown("nothing yet")], rules=Rules()
    )
    assert outcome.standing == "noted"


def test_a_cell_fails_by_its_exception_unless_it_is_meant_to() -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "no"}
    assert judged(shown("1"), error).standing == "changed"
    fails = ("raises-exception",)
    assert judged(error, error, tags=fails).failures == []
    assert judged(error, shown("1"), tags=fails).standing == "changed"
    other = {"output_type": "error", "ename": "KeyError", "evalue": "no"}
    assert judged(error, other, tags=fails).standing == "changed"


def test_speed_is_reported_against_the_machine_and_fails_only_when_asked(
    figures: Figures,
) -> None:
    fast = {"matmul_per_s": 100, "copy_per_s": 100}
    slow = {"matmul_per_s": 50, "copy_per_s": 50}
    saved = shown(SKY, {**figures(), "calibration": fast})
    halved = figures(decode_per_s=25.0, prefill_per_s=50.0)
    same = shown(SKY, {**halved, "calibration": slow})
    worse = shown(SKY, {**halved, "calibration": fast})
    strict = Rules(perf=0.8)
    assert judged(saved, same, rules=strict).standing == "same"
    assert judged(saved, worse).standing == "same"
    outcome = judged(saved, worse, rules=strict)
    assert outcome.standing == "changed"
    assert "decode 50.0 → 25.0 tok/s, 0.50 × the saved" in outcome.speeds[1].words


def test_a_saved_speed_without_a_calibration_cannot_fail(figures: Figures) -> None:
    worse = shown(SKY, figures(decode_per_s=1.0))
    outcome = judged(shown(SKY, figures()), worse, rules=Rules(perf=0.8))
    assert outcome.standing == "same"
    assert "no calibration" in outcome.speeds[1].words
