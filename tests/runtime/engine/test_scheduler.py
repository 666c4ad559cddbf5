from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import RuntimeFailure
from localkit.events import CancelToken
from localkit.runtime.params import ServeParams
from tests.runtime.fake_context import (
    ABORTED,
    FAILED,
    N_VOCAB,
    Engine,
    FakeContext,
    next_token,
    prompt,
    said_after,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BULK = ServeParams(priority="bulk")


def test_a_request_gets_the_whole_models_answer() -> None:
    engine = Engine()
    request = engine.ask(prompt(1, 30), 20)
    engine.run()
    assert request.tokens == said_after(prompt(1, 30), 20)
    assert (engine.scheduler.n_busy, engine.scheduler.n_queued) == (0, 0)


def test_requests_side_by_side_get_what_each_would_get_alone() -> None:
    engine = Engine(FakeContext(n_ctx=2048), n_slots=8)
    lengths = [(5 + 17 * seed, 1 + 3 * seed) for seed in range(20)]
    requests = [
        engine.ask(prompt(seed, n_prompt), n)
        for seed, (n_prompt, n) in enumerate(lengths)
    ]
    engine.run()
    for seed, (n_prompt, n) in enumerate(lengths):
        assert requests[seed].tokens == said_after(prompt(seed, n_prompt), n)


def test_a_long_prompt_does_not_stall_running_answers_beyond_a_micro_batch() -> None:
    engine = Engine(FakeContext(n_ctx=4096))
    running = [engine.ask(prompt(seed, 10), 60) for seed in range(3)]
    engine.step(2)
    late = engine.ask(prompt(9, 1000), 1)
    while not late.tokens:
        before = [len(one.tokens) for one in running]
        engine.step()
        assert [len(one.tokens) for one in running] == [n + 1 for n in before]
        assert sum(engine.context.steps[-1].values()) <= engine.context.n_ubatch
    # 61 of 64 tokens of a step are left to the prompt.
    assert len(engine.context.steps) <= 2 + -(-1000 // 61) + 1


def test_the_oldest_prompt_is_computed_first() -> None:
    engine = Engine(FakeContext(n_ctx=4096))
    first, second = engine.ask(prompt(1, 200), 3), engine.ask(prompt(2, 20), 3)
    engine.step(3)
    assert not first.tokens
    assert not second.tokens
    engine.step()
    assert first.tokens
    engine.run()


def test_the_next_turn_of_a_chat_computes_only_what_is_new() -> None:
    engine = Engine()
    first = engine.ask(prompt(1, 50), 10)
    engine.run()
    turn = [*prompt(1, 50), *first.tokens, *prompt(2, 12)]
    before = engine.scheduler.n_computed
    second = engine.ask(turn, 5)
    engine.run()
    assert second.tokens == said_after(turn, 5)
    # The last token of the first answer was sampled and never computed.
    assert second.n_reused == 59
    assert engine.scheduler.n_computed - before == 13 + 4


def test_the_endings_of_a_question_share_its_prompt() -> None:
    engine = Engine(FakeContext(n_ctx=1024))
    endings = [prompt(seed, 5) for seed in range(4)]
    scored = engine.score(prompt(1, 300), endings)
    engine.run()
    assert engine.scheduler.n_computed == 300 + 4 * 4
    for ending, score in zip(endings, scored.scores, strict=True):
        sequence = prompt(1, 300)
        for token, logprob in zip(ending, score.logprobs, strict=True):
            likely = token == next_token(sequence)
            assert (logprob > -1) == likely
            sequence.append(token)


def test_idle_prefixes_make_room_when_cells_run_out() -> None:
    engine = Engine(FakeContext(n_ctx=256))
    for seed in range(3):
        engine.ask(prompt(seed, 70), 1)
        engine.run()
    late = engine.ask(prompt(9, 150), 3)
    engine.run()
    assert late.tokens == said_after(prompt(9, 150), 3)
    # The two used longest ago went; the newest is still there.
    before = engine.scheduler.n_computed
    engine.ask(prompt(2, 70), 1)
    engine.run()
    assert engine.scheduler.n_computed - before == 1


def test_when_cells_run_out_the_youngest_starts_over_and_its_text_is_unbroken() -> None:
    engine = Engine(FakeContext(n_ctx=256))
    old, young = engine.ask(prompt(1, 20), 180), engine.ask(prompt(2, 20), 180)
    n_busy = []
    while engine.scheduler.has_work(before=None):
        engine.step()
        n_busy.append((engine.scheduler.n_busy, len(old.tokens)))
    assert engine.context.n_refused > 0
    assert (1, 150) in n_busy
    assert old.tokens == said_after(prompt(1, 20), 180)
    assert young.tokens == said_after(prompt(2, 20), 180)
    pieces = list(young.reading)
    assert "".join(piece.text for piece in pieces) == "".join(
        f"{token} " for token in young.tokens
    )


def test_a_score_that_had_to_start_over_keeps_what_it_found() -> None:
    engine = Engine(FakeContext(n_ctx=256))
    answer = engine.ask(prompt(1, 60), 150)
    endings = [prompt(seed, 30) for seed in range(3, 7)]
    scored = engine.score(prompt(2, 100), endings)
    engine.run()
    alone = Engine(FakeContext(n_ctx=256))
    expected = alone.score(prompt(2, 100), endings)
    alone.run()
    assert answer.tokens == said_after(prompt(1, 60), 150)
    for one, other in zip(scored.scores, expected.scores, strict=True):
        assert one.logprobs.tolist() == other.logprobs.tolist()


def test_an_aborted_decode_is_taken_back_and_the_others_lose_nothing() -> None:
    engine = Engine(FakeContext(n_ctx=1024))
    running = [engine.ask(prompt(seed, 10), 12) for seed in range(3)]
    engine.step(3)
    cancel = CancelToken()
    late = engine.ask(prompt(9, 500), 12, cancel=cancel)
    engine.step()
    engine.context.codes = [ABORTED]
    cancel.cancel()
    engine.run()
    for seed, one in enumerate(running):
        assert one.tokens == said_after(prompt(seed, 10), 12)
    assert late.tokens == ()
    assert late.reading.result is None


@pytest.mark.parametrize("cut", [True, False])
def test_aborts_at_any_step_leave_every_answer_whole(cut: bool) -> None:
    engine = Engine(FakeContext(n_ctx=2048, cut=cut))
    requests = [engine.ask(prompt(seed, 30 + seed), 10) for seed in range(6)]
    for number in range(200):
        if not engine.scheduler.has_work(before=None):
            break
        if number % 3 == 1:
            engine.context.codes = [ABORTED]
        engine.step()
    for seed, one in enumerate(requests):
        assert one.tokens == said_after(prompt(seed, 30 + seed), 10)


def test_a_decode_that_fails_ends_those_in_it_and_nobody_else() -> None:
    engine = Engine(n_slots=2)
    hit = [engine.ask(prompt(seed, 20), 5) for seed in range(2)]
    spared = engine.ask(prompt(7, 20), 5)
    engine.context.codes = [FAILED]
    engine.run()
    for one in hit:
        with pytest.raises(RuntimeFailure, match="code -3"):
            _ = one.reading.result
    assert spared.tokens == said_after(prompt(7, 20), 5)


def test_a_job_that_raises_in_take_does_not_hurt_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    bad, good = engine.ask(prompt(1, 20), 5), engine.ask(prompt(2, 20), 5)

    def burst(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bad.job, "take", burst)
    engine.run()
    with pytest.raises(ZeroDivisionError):
        _ = bad.reading.result
    assert good.tokens == said_after(prompt(2, 20), 5)
    assert engine.scheduler.n_busy == 0


def test_only_a_long_step_is_aborted_and_only_for_a_job_in_it() -> None:
    engine = Engine()
    cancels = [CancelToken() for _ in range(2)]
    asked: list[list[bool]] = []
    decode = engine.context.try_decode

    def watched(*args: object, **options: object) -> int:
        asked.append([engine.scheduler.must_abort(one) for one in cancels])
        return decode(*args, **options)  # type: ignore[arg-type]

    engine.context.try_decode = watched  # type: ignore[method-assign]
    engine.ask(prompt(1, 20), 3, cancel=cancels[0])
    engine.run()
    assert asked == [[True, False], [False, False], [False, False]]
    assert engine.scheduler.must_abort(cancels[0]) is False


def test_right_guesses_save_decodes_and_wrong_ones_change_nothing() -> None:
    expected = said_after(prompt(1, 20), 24)

    class Oracle:
        def propose(self, tokens: Sequence[int], most: int) -> list[int]:
            at = len(tokens) - 20
            guess = list(expected[at : at + most])
            if at == 6:  # once, the second guess is wrong
                guess[1:2] = [(guess[1] + 1) % N_VOCAB] if len(guess) > 1 else []
            return guess

    engine = Engine()
    request = engine.ask(
        prompt(1, 20), 24, serve=ServeParams(n_draft=4), drafter=Oracle()
    )
    engine.run()
    assert request.tokens == expected
    usage = request.job.so_far().usage  # type: ignore[union-attr]
    assert len(engine.context.steps) < 12
    assert usage.n_drafted > usage.n_accepted > 12
    assert usage.n_accepted == 24 - len(engine.context.steps)


def test_guesses_are_counted_once_when_cells_run_out() -> None:
    class Wrong:
        def propose(self, tokens: Sequence[int], most: int) -> list[int]:
            return [(next_token(tokens) + 1) % N_VOCAB] * most

    engine = Engine(FakeContext(n_ctx=128))
    serve = ServeParams(n_draft=4)
    asked = [
        engine.ask(prompt(seed, 20), 100, serve=serve, drafter=Wrong())
        for seed in range(2)
    ]
    engine.run()
    for seed, one in enumerate(asked):
        assert one.tokens == said_after(prompt(seed, 20), 100)
        usage = one.job.so_far().usage  # type: ignore[union-attr]
        assert usage.n_accepted == 0
        assert usage.n_drafted <= 4 * 100


def test_a_context_shift_goes_on_with_guesses_at_the_full_context() -> None:
    class Wrong:
        def propose(self, tokens: Sequence[int], most: int) -> list[int]:
            return [(next_token(tokens) + 1) % N_VOCAB] * most

    engine = Engine(FakeContext(n_ctx=128))
    serve = ServeParams(context_shift=True, n_draft=8)
    plain = Engine(FakeContext(n_ctx=128))
    one = engine.ask(prompt(1, 20), 300, serve=serve, drafter=Wrong())
    other = plain.ask(prompt(1, 20), 300, serve=serve)
    engine.run()
    plain.run()
    assert len(one.tokens) == 300
    assert one.tokens == other.tokens


def test_everything_in_progress_and_waiting_ends_when_the_engine_does() -> None:
    engine = Engine(n_slots=1)
    asked = [engine.ask(prompt(seed, 20), 50) for seed in range(3)]
    engine.step(5)
    engine.scheduler.end(RuntimeFailure("closed"))
    assert (engine.scheduler.n_busy, engine.scheduler.n_queued) == (0, 0)
    for one in asked:
        with pytest.raises(RuntimeFailure, match="closed"):
            _ = one.reading.result
