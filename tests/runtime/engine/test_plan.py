from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from localkit.events import CancelToken
from localkit.runtime.engine.plan import CHUNK_STEP, LEAST_CHUNK, Plan, make_plan
from localkit.runtime.engine.slots import Slot
from localkit.runtime.params import ServeParams

if TYPE_CHECKING:
    from collections.abc import Sequence


class Waiting:
    """A job as the plan sees it."""

    def __init__(
        self, n_tokens: int, *, first_output: int | None = None, guesses: int = 0
    ) -> None:
        self.number = 0
        self.serve = ServeParams()
        self.tokens = list(range(n_tokens))
        self.first_output = n_tokens - 1 if first_output is None else first_output
        self.ended = False
        self.cancel = CancelToken()
        self.media: dict[int, Any] = {}
        self.guesses = guesses

    def draft(self, room: int) -> Sequence[int]:
        return [7] * min(self.guesses, room)


def running(*jobs: tuple[Waiting, int]) -> list[Slot]:
    """Slots with jobs, and how many tokens of each are computed."""
    return [
        Slot(sequence, tokens=job.tokens[:n], job=cast("Any", job))
        for sequence, (job, n) in enumerate(jobs)
    ]


def shares(plan: Plan) -> list[tuple[int, int]]:
    return [(share.slot.sequence, len(share.tokens)) for share in plan.shares]


def test_answers_come_first_and_prompts_fill_the_rest() -> None:
    slots = running((Waiting(500), 0), (Waiting(20), 19), (Waiting(9), 8))
    plan = make_plan(slots, n_tokens=128, n_outputs=64)
    assert shares(plan) == [(1, 1), (2, 1), (0, 126)]
    assert not plan.is_decode
    assert len(plan.tokens) == len(plan.positions) == len(plan.sequences) == 128


def test_positions_go_on_where_the_slot_ends() -> None:
    plan = make_plan(running((Waiting(100), 30)), n_tokens=64, n_outputs=64)
    assert plan.positions == list(range(30, 94))
    assert plan.outputs == []


def test_only_wanted_logits_are_asked_for() -> None:
    slots = running((Waiting(10), 9), (Waiting(30, first_output=25), 20))
    plan = make_plan(slots, n_tokens=64, n_outputs=64)
    assert plan.outputs == [0, 6, 7, 8, 9, 10]
    assert [share.first_row for share in plan.shares] == [0, 1]
    assert plan.shares[1].outputs == [6, 7, 8, 9, 10]


def test_no_more_logits_are_wanted_than_there_is_room_for() -> None:
    slots = running((Waiting(500, first_output=100), 0))
    plan = make_plan(slots, n_tokens=512, n_outputs=64)
    assert shares(plan) == [(0, 160)]
    assert len(plan.outputs) == 60


def test_the_older_prompt_takes_what_there_is() -> None:
    slots = running((Waiting(500), 0), (Waiting(500), 0))
    assert shares(make_plan(slots, n_tokens=256, n_outputs=64)) == [(0, 256)]


def test_two_short_prompts_share_a_step() -> None:
    slots = running((Waiting(50), 0), (Waiting(60), 0))
    plan = make_plan(slots, n_tokens=256, n_outputs=64)
    assert shares(plan) == [(0, 50), (1, 60)]
    assert plan.outputs == [49, 109]


@pytest.mark.parametrize("n_tokens", range(1, 400, 13))
def test_a_prompt_does_not_end_in_a_short_chunk(n_tokens: int) -> None:
    job, at, sizes = Waiting(n_tokens), 0, []
    while at < n_tokens:
        plan = make_plan(running((job, at)), n_tokens=128, n_outputs=64)
        sizes.append(len(plan.tokens))
        at += sizes[-1]
    assert min(sizes) >= min(LEAST_CHUNK, n_tokens)
    assert max(sizes) <= 128
    assert all(size % CHUNK_STEP == 0 for size in sizes[:-1])


def test_guesses_leave_every_answer_its_token() -> None:
    slots = running(*[(Waiting(10, guesses=50), 9) for _ in range(10)])
    plan = make_plan(slots, n_tokens=64, n_outputs=32)
    assert len(plan.shares) == 10
    assert len(plan.outputs) <= 32
    assert plan.is_decode


def test_nothing_running_is_an_empty_plan() -> None:
    plan = make_plan([Slot(0)], n_tokens=64, n_outputs=64)
    assert plan.shares == []


def test_only_a_prompt_makes_a_step_long() -> None:
    decode = make_plan(running((Waiting(10), 9)), n_tokens=64, n_outputs=64)
    job = Waiting(100)
    prefill = make_plan(running((job, 0)), n_tokens=64, n_outputs=64)
    assert not decode.is_long_for(decode.shares[0].job.cancel)
    assert prefill.is_long_for(job.cancel)
    assert not prefill.is_long_for(CancelToken())
