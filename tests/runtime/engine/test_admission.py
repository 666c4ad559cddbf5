from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from localkit.errors import AdapterInvalid
from localkit.events import CancelToken
from localkit.runtime.params import Adapter, ServeParams
from tests.runtime.fake_context import Engine, FakeContext, prompt, said_after

BULK = ServeParams(priority="bulk")


def test_requests_are_admitted_first_come_first_served() -> None:
    engine = Engine(n_slots=2)
    requests = [engine.ask(prompt(seed, 20), 5) for seed in range(6)]
    ended: list[int] = []
    while engine.scheduler.has_work(before=None):
        engine.step()
        ended += [
            index
            for index, one in enumerate(requests)
            if len(one.tokens) == 5 and index not in ended
        ]
    assert ended == sorted(ended)


def test_an_interactive_request_goes_before_the_bulk_ones_that_wait() -> None:
    engine = Engine(n_slots=2)
    bulk = [engine.ask(prompt(seed, 20), 5, serve=BULK) for seed in range(5)]
    engine.step()
    interactive = engine.ask(prompt(9, 20), 5)
    while len(interactive.tokens) < 5:
        engine.step()
    assert sum(len(one.tokens) == 5 for one in bulk) <= 1
    engine.run()
    assert [len(one.tokens) for one in bulk] == [5] * 5


def test_one_slot_is_kept_for_a_person_while_bulk_work_runs() -> None:
    engine = Engine(n_slots=4)
    for seed in range(10):
        engine.ask(prompt(seed, 20), 30, serve=BULK)
    engine.step(4)
    assert engine.scheduler.n_busy == 3
    interactive = engine.ask(prompt(99, 20), 1)
    engine.step()
    assert interactive.tokens == said_after(prompt(99, 20), 1)


def test_bulk_work_alone_still_runs_where_there_is_a_single_slot() -> None:
    engine = Engine(n_slots=1)
    requests = [engine.ask(prompt(seed, 20), 3, serve=BULK) for seed in range(3)]
    engine.run()
    assert all(len(one.tokens) == 3 for one in requests)


def test_requests_numbered_later_wait_for_a_call_in_between() -> None:
    engine = Engine()
    first, second = engine.ask(prompt(1, 20), 2), engine.ask(prompt(2, 20), 2)
    while engine.scheduler.has_work(before=1):
        engine.scheduler.step(before=1)
    assert first.tokens == said_after(prompt(1, 20), 2)
    assert not second.tokens
    engine.run()
    assert second.tokens


def test_questions_that_share_half_the_context_run_side_by_side() -> None:
    engine = Engine(FakeContext(n_ctx=512), n_slots=8)
    requests = [engine.ask(prompt(seed, 270, common=256), 8) for seed in range(8)]
    engine.step(6)
    late = engine.ask(prompt(8, 270, common=256), 8)
    engine.step()
    assert engine.scheduler.n_busy >= 5
    engine.run()
    for seed, one in enumerate([*requests, late]):
        assert one.tokens == said_after(prompt(seed, 270, common=256), 8)
    assert engine.scheduler.n_computed < 256 + 9 * (14 + 8)
    assert engine.context.n_refused == 0


def test_a_job_that_waits_for_a_prefix_lets_others_pass() -> None:
    engine = Engine(FakeContext(n_ctx=2048))
    first = engine.ask(prompt(1, 500), 2)
    same = engine.ask(prompt(1, 500), 2)
    other = engine.ask(prompt(2, 30), 2)
    engine.step()
    assert other.job in [slot.job for slot in engine.slots.running]
    assert same.job not in [slot.job for slot in engine.slots.running]
    engine.run()
    assert first.tokens == same.tokens == said_after(prompt(1, 500), 2)


def test_sixteen_identical_prompts_at_once_are_computed_once() -> None:
    engine = Engine(FakeContext(n_ctx=1024), n_slots=16)
    shared = prompt(1, 150)
    requests = [engine.ask(shared, 3) for _ in range(16)]
    engine.run()
    assert {one.tokens for one in requests} == {said_after(shared, 3)}
    # The prompt once, its last token for each of the others, two tokens each.
    assert engine.scheduler.n_computed == 150 + 15 + 16 * 2
    assert [one.n_reused for one in requests] == [0, *[149] * 15]


def test_answers_that_all_fill_the_context_do_not_take_cells_in_circles() -> None:
    # The same text twenty times: each computed by itself, though it could be shared.
    engine = Engine(FakeContext(n_ctx=256), n_slots=16)
    asked = [engine.ask([5, 6, 7], None) for _ in range(20)]
    engine.run(20 * 256 * 2)
    assert {one.tokens for one in asked} == {said_after([5, 6, 7], 253)}
    assert engine.scheduler.n_computed < 20 * 256 * 2


def test_bulk_gives_way_before_an_interactive_answer_that_is_younger() -> None:
    engine = Engine(FakeContext(n_ctx=256))
    bulk = engine.ask(prompt(1, 20), 180, serve=BULK)
    engine.step(3)
    person = engine.ask(prompt(2, 20), 180)
    while len(person.tokens) < 180:
        engine.step()
    assert len(bulk.tokens) < 180
    engine.run()
    assert bulk.tokens == said_after(prompt(1, 20), 180)
    assert person.tokens == said_after(prompt(2, 20), 180)


def test_a_request_cancelled_while_it_waits_never_takes_a_slot() -> None:
    engine = Engine(n_slots=1)
    first = engine.ask(prompt(1, 20), 5)
    cancel = CancelToken()
    waiting = engine.ask(prompt(2, 20), 5, cancel=cancel)
    engine.step()
    cancel.cancel()
    engine.run()
    assert first.tokens == said_after(prompt(1, 20), 5)
    assert waiting.tokens == ()
    assert waiting.reading.result is None
    assert len(engine.context.held(0)) == 20 + 4


def test_requests_with_the_same_adapters_are_computed_together() -> None:
    engine = Engine(n_slots=8)
    styles = [ServeParams(adapters=(Adapter(Path(name)),)) for name in "ab"]
    first = [engine.ask(prompt(seed, 20), 4, serve=styles[0]) for seed in range(3)]
    second = [engine.ask(prompt(seed, 20), 4, serve=styles[1]) for seed in range(3)]
    plain = engine.ask(prompt(5, 20), 4)
    engine.run()
    assert engine.context.adapters == [styles[0].adapters, styles[1].adapters, ()]
    for seed in range(3):
        assert first[seed].tokens == second[seed].tokens
    assert plain.tokens
    # Three side by side in one step, never two groups.
    assert engine.context.steps[0] == Counter({0: 20, 1: 20, 2: 20})


def test_a_prefix_is_never_shared_across_adapters() -> None:
    engine = Engine(n_slots=4)
    style = ServeParams(adapters=(Adapter(Path("a"), 0.5),))
    for serve in (ServeParams(), style, ServeParams(), style):
        asked = engine.ask(prompt(1, 40), 2, serve=serve)
        engine.run()
    before = engine.scheduler.n_computed
    other = engine.ask(
        prompt(1, 40), 2, serve=ServeParams(adapters=(Adapter(Path("a"), 0.25),))
    )
    engine.run()
    assert asked.n_reused == 39
    assert other.n_reused == 0
    assert engine.scheduler.n_computed - before == 41


def test_an_adapter_that_is_refused_ends_its_request_alone() -> None:
    engine = Engine()

    def refuse(adapters: tuple[Adapter, ...]) -> None:
        if adapters:
            raise AdapterInvalid("made for another model")

    engine.scheduler._adapt = refuse
    bad = engine.ask(
        prompt(1, 20), 4, serve=ServeParams(adapters=(Adapter(Path("x")),))
    )
    good = engine.ask(prompt(2, 20), 4)
    engine.run()
    with pytest.raises(AdapterInvalid, match="another model"):
        _ = bad.reading.result
    assert good.tokens == said_after(prompt(2, 20), 4)


def test_a_job_that_gave_up_its_cells_waits_though_arithmetic_says_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("localkit.runtime.engine.admission._cells", lambda _: 0)
    engine = Engine(FakeContext(n_ctx=256), n_slots=8)
    asked = [engine.ask(prompt(seed, 40), None) for seed in range(10)]
    engine.run(10 * 256 * 2)
    for seed, one in enumerate(asked):
        assert one.tokens == said_after(prompt(seed, 40), 216)
