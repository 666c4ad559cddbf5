from __future__ import annotations

import pytest

from localkit.runtime.engine.plan import LEAST_CHUNK
from localkit.runtime.engine.slots import common_prefix
from localkit.runtime.params import ServeParams
from tests.runtime.fake_context import Engine, FakeContext, prompt, said_after

EXACT = ServeParams(exact=True)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 100])
def test_a_common_prefix_is_found_wherever_it_ends(n: int) -> None:
    one = prompt(1, 100)
    other = one[:n] + [token + 1 for token in one[n:]]
    assert common_prefix(one, other) == n
    assert common_prefix(one, one[:n]) == n
    assert common_prefix(one[:n], one) == n


def test_a_prefix_is_taken_from_the_slot_that_holds_most_of_it() -> None:
    engine = Engine(FakeContext(n_ctx=1024))
    for n in (50, 90, 70):
        engine.ask(prompt(n, 120, common=n), 1)
        engine.run()
    # All three begin with parts of the same 90 tokens.
    asked = engine.ask(prompt(1, 120, common=90), 1)
    engine.run()
    assert asked.n_reused == 90


def test_a_donor_keeps_what_was_taken_from_it() -> None:
    engine = Engine(FakeContext(n_ctx=1024))
    first = engine.ask(prompt(1, 80, common=60), 30)
    engine.run()
    second = engine.ask(prompt(2, 80, common=60), 30)
    engine.run()
    turn = [*prompt(1, 80, common=60), *first.tokens]
    again = engine.ask(turn, 1)
    engine.run()
    assert (second.n_reused, again.n_reused) == (60, len(turn) - 1)
    # Sixty cells are there once, for both.
    assert len(engine.context.cells) == 60 + 2 * (20 + 29) + 1


def test_asking_the_same_again_takes_no_other_slot() -> None:
    engine = Engine(FakeContext(n_ctx=1024))
    for _ in range(5):
        asked = engine.ask(prompt(1, 80), 3)
        engine.run()
    assert asked.tokens == said_after(prompt(1, 80), 3)
    assert sum(bool(slot.tokens) for slot in engine.slots.all) == 1


def test_a_prefix_is_taken_from_an_answer_in_progress() -> None:
    engine = Engine()
    first = engine.ask(prompt(1, 50), 40)
    engine.step(5)
    second = engine.ask(prompt(1, 50), 40)
    engine.step()
    assert second.n_reused == 49
    engine.run()
    assert first.tokens == second.tokens == said_after(prompt(1, 50), 40)


def test_with_every_slot_full_the_one_used_longest_ago_is_given_up() -> None:
    engine = Engine(FakeContext(n_ctx=1024), n_slots=3)
    for seed in (1, 2, 3, 1, 4):  # 1 is used again, so 2 is the oldest at 4
        engine.ask(prompt(seed, 40), 1)
        engine.run()
    reused = []
    for seed in (3, 1, 4, 2):
        asked = engine.ask(prompt(seed, 40), 1)
        engine.run()
        reused.append(asked.n_reused)
    assert reused == [39, 39, 39, 0]


def test_the_only_idle_slot_is_cut_where_it_holds_the_prefix() -> None:
    engine = Engine(n_slots=1)
    engine.ask(prompt(1, 60, common=40), 5)
    engine.run()
    asked = engine.ask(prompt(2, 60, common=40), 5)
    engine.run()
    assert asked.n_reused == 40
    assert asked.tokens == said_after(prompt(2, 60, common=40), 5)


def test_a_state_that_cannot_be_cut_is_reused_only_as_a_whole() -> None:
    engine = Engine(FakeContext(cut=False), n_slots=2)
    first = engine.ask(prompt(1, 40), 5)
    engine.run()
    part = engine.ask(prompt(1, 40), 5)
    engine.run()
    assert part.n_reused == 0
    assert part.tokens == first.tokens
    turn = [*prompt(1, 40), *first.tokens, 7, 8]
    whole = engine.ask(turn, 5)
    engine.run()
    assert whole.n_reused == 44
    assert whole.tokens == said_after(turn, 5)


def test_a_windowed_prefix_is_not_reused_once_the_window_has_left_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(n_swa=16)
    engine.ask(prompt(1, 100), 1)
    engine.run()
    monkeypatch.setattr(engine.context, "first_position", lambda _: 84)
    asked = engine.ask([*prompt(1, 90), 5, 6], 1)
    engine.step()
    assert asked.n_reused == 0
    engine.run()


def test_a_windowed_prefix_is_reused_while_the_window_covers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(n_swa=16)
    engine.ask(prompt(1, 100), 1)
    engine.run()
    monkeypatch.setattr(engine.context, "first_position", lambda _: 74)
    asked = engine.ask([*prompt(1, 90), 5, 6], 1)
    engine.run()
    assert asked.n_reused == 90


def exact_engine(n_ubatch: int = 128) -> Engine:
    return Engine(FakeContext(n_ctx=1024, n_ubatch=n_ubatch))


def chunks(engine: Engine, start: int = 0) -> list[int]:
    return [sum(step.values()) for step in engine.context.steps[start:]]


def test_an_exact_request_waits_for_the_others_and_lets_none_beside_it() -> None:
    engine = exact_engine()
    before, exact = engine.ask(prompt(1, 30), 5), engine.ask(prompt(2, 30), 5)
    exact.job.serve = EXACT
    after = engine.ask(prompt(3, 30), 5)
    engine.run()
    assert all(len(step) == 1 for step in engine.context.steps)
    for seed, one in enumerate((before, exact, after), start=1):
        assert one.tokens == said_after(prompt(seed, 30), 5)


def test_an_exact_prompt_is_never_computed_in_a_short_chunk() -> None:
    for n in (64, 100, 128, 129, 150, 191, 192, 200, 256, 300, 383):
        engine = exact_engine()
        engine.ask(prompt(n, n), 1, serve=EXACT)
        engine.run()
        assert min(chunks(engine)) >= LEAST_CHUNK


def test_an_exact_request_takes_only_what_leaves_it_a_long_chunk() -> None:
    engine = exact_engine()
    engine.ask(prompt(1, 300, common=280), 1, serve=EXACT)
    engine.run()
    n_steps = len(engine.context.steps)
    asked = engine.ask(prompt(2, 300, common=280), 1, serve=EXACT)
    engine.run()
    # The 236 that leave a long chunk, down to a multiple of the step.
    assert asked.n_reused == 224
    assert chunks(engine, n_steps) == [76]


def test_what_an_exact_answer_said_is_no_exact_prefix() -> None:
    engine = exact_engine()
    first = engine.ask(prompt(1, 100), 100, serve=EXACT)
    engine.run()
    turn = [*prompt(1, 100), *first.tokens, *prompt(2, 80)]
    second = engine.ask(turn, 3, serve=EXACT)
    engine.run()
    assert second.n_reused == 96
    assert second.tokens == said_after(turn, 3)


def test_a_scored_continuation_is_no_exact_prefix() -> None:
    engine = exact_engine()
    engine.score(prompt(1, 100), [prompt(2, 50)], serve=EXACT)
    engine.run()
    text = [*prompt(1, 100), *prompt(2, 50), *prompt(3, 80)]
    asked = engine.ask(text, 3, serve=EXACT)
    engine.run()
    assert asked.n_reused == 96


def test_a_short_exact_prompt_leaves_no_exact_prefix() -> None:
    engine = exact_engine()
    engine.ask(prompt(1, 40), 1, serve=EXACT)
    engine.run()
    asked = engine.ask([*prompt(1, 40), *prompt(2, 80)], 1, serve=EXACT)
    engine.run()
    assert asked.n_reused == 0


def test_a_micro_batch_too_small_for_two_chunks_leaves_no_exact_prefix() -> None:
    engine = exact_engine(n_ubatch=64)
    for _ in range(2):
        asked = engine.ask(prompt(1, 150), 1, serve=EXACT)
        engine.run()
    assert asked.n_reused == 0
    assert chunks(engine) == [64, 64, 22] * 2


def test_what_others_computed_is_no_exact_prefix() -> None:
    engine = exact_engine()
    engine.ask(prompt(1, 200), 1)
    engine.run()
    exact = engine.ask(prompt(1, 200), 1, serve=EXACT)
    engine.run()
    assert exact.n_reused == 0
    # …but they may take an exact one, which then is none any more.
    plain = engine.ask([*prompt(1, 200), 5], 1)
    engine.run()
    assert plain.n_reused == 200
    again = engine.ask(prompt(1, 200), 1, serve=EXACT)
    engine.run()
    assert again.n_reused == 0


def test_a_restored_state_is_no_exact_prefix() -> None:
    engine = exact_engine()
    engine.ask(prompt(1, 200), 1, serve=EXACT)
    engine.run()
    assert engine.scheduler.restore(prompt(1, 200), bytes(prompt(1, 200)))
    engine.check()
    exact = engine.ask(prompt(1, 200), 1, serve=EXACT)
    engine.run()
    assert exact.tokens == said_after(prompt(1, 200), 1)


def test_an_exact_request_begins_at_the_first_cell() -> None:
    engine = exact_engine()
    for seed in range(4):
        engine.ask(prompt(seed, 50), 5)
    engine.run()
    engine.ask(prompt(9, 200, common=150), 5, serve=EXACT)
    engine.run()
    for seed in range(4):
        engine.ask(prompt(seed, 50), 5)
    engine.run()
    engine.ask(prompt(10, 200, common=150), 5, serve=EXACT)
    engine.run()
    assert {frozenset(cell.sequences) for cell in engine.context.cells} == {
        frozenset({0})
    }


def test_restoring_makes_room_by_giving_up_idle_prefixes() -> None:
    engine = Engine(FakeContext(n_ctx=256))
    for seed in range(3):
        engine.ask(prompt(seed, 70), 1)
        engine.run()
    state = prompt(9, 150)
    assert engine.scheduler.restore(state, bytes(state))
    engine.check()
    asked = engine.ask([*state, 5], 2)
    engine.run()
    assert asked.n_reused == 150
    assert not engine.scheduler.restore(prompt(1, 90), bytes(300))
    engine.check()
