from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import UsageError
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.fake import FakeRuntime
    from localkit.widgets.playground.playground import Playground
    from localkit.widgets.playground.turns import Turn

    Make = Callable[..., Playground]


def last(pg: Playground, column: int = 0) -> Turn:
    turn = pg.turns[column]
    assert turn is not None
    return turn


def said(turn: Turn) -> list[str]:
    return [one.content for one in turn.messages()]


def test_continue_adds_a_turn_that_knows_the_ones_before(make: Make) -> None:
    pg = make()
    pg.run()
    pg.say("And then?")
    assert pg.answers == ["three", "four"]
    assert said(last(pg)) == ["Say something", "one", "And then?"]
    pg.say("More?", 1)
    assert pg.answers == ["three", "five"]
    assert last(pg, 1).depth == 3


def test_nothing_goes_on_before_there_is_an_answer(make: Make) -> None:
    pg = make(MODEL)
    with pytest.raises(UsageError, match="no answer yet"):
        pg.say("And then?")
    pg.run()
    with pytest.raises(UsageError, match="nothing said"):
        pg.say(" ")


def test_regenerate_keeps_the_older_answer_beside_the_new_one(make: Make) -> None:
    pg = make(MODEL, params={"seed": 5})
    pg.run()
    first = last(pg)
    pg.regenerate(first)
    assert pg.answers == ["two"]
    assert last(pg).answer.result.receipt.params.seed == 6  # type: ignore[union-attr]
    pg.pick(last(pg), -1)
    assert pg.answers == ["one"]
    assert pg.state()["columns"][0]["turns"][0]["of"] == 2
    pg.pick(last(pg), 1)
    pg.regenerate(last(pg))
    assert last(pg).answer.result.receipt.params.seed == 7  # type: ignore[union-attr]


def test_editing_an_earlier_turn_branches_and_each_branch_can_be_picked(
    make: Make,
) -> None:
    pg = make(MODEL)
    pg.run()
    pg.say("And then?")
    root = last(pg).parent
    assert root is not None
    pg.edit(root, "Say another thing")
    assert said(last(pg)) == ["Say another thing"]
    pg.say("Why?")
    pg.pick(last(pg).path[0], -1)
    assert said(last(pg)) == ["Say something", "one", "And then?"]
    pg.pick(last(pg).path[0], 1)
    assert said(last(pg)) == ["Say another thing", "three", "Why?"]


def test_turns_are_named_by_what_was_said_up_to_them(
    make: Make, runtime: FakeRuntime
) -> None:
    runtime.replies = ["one", "one", "two", "two", "three"]
    pg = make()
    pg.run()
    pg.say("And then?")
    first, second = last(pg, 0), last(pg, 1)
    assert first.digest == second.digest
    assert first.digest != first.parent.digest  # type: ignore[union-attr]
    pg.edit(first, "And now?")
    assert last(pg, 0).digest != second.digest
