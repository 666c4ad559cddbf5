from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import UsageError
from localkit.history.votes import Vote
from localkit.widgets.playground.pairs import pairs
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.history.votes import Winner
    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime
    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]


def test_a_rating_is_kept_changed_and_taken_back(make: Make) -> None:
    pg = make(name="mine")
    pg.run()
    pg.rate(0, 1, "short")
    pg.rate(0, -1, "too short")
    pg.rate(1, 1)
    frame = pg.ratings()
    assert list(frame["score"]) == [-1, 1]
    assert list(frame["comment"]) == ["too short", ""]
    assert list(frame["candidate"]) == ["tiny:f16", "other:f16"]
    pg.rate(0, 0)
    assert list(pg.ratings()["candidate"]) == ["other:f16"]
    assert make(name="another").ratings().empty
    assert len(make(name="mine").ratings()) == 1


def test_only_an_answer_that_is_there_can_be_rated(make: Make) -> None:
    pg = make(MODEL)
    with pytest.raises(UsageError, match="no answer"):
        pg.rate(0, 1)
    pg.run()
    with pytest.raises(UsageError, match="rating is 7"):
        pg.rate(0, 7)


def test_a_blind_run_gives_nothing_away_until_the_vote(
    make: Make, runtime: FakeRuntime
) -> None:
    pg = make(blind=True)
    heard: list[object] = []
    pg.asking._feed._send = heard.append
    pg.run()
    shown = json.dumps(pg.state()["columns"])
    record = pg.panel.record
    for text in (shown, record.plain, str(record.html), json.dumps(record.metadata)):
        assert MODEL not in text
        assert "other:f16" not in text
    assert heard == []
    assert repr(pg) == "<Playground playground: hidden, hidden>"
    with pytest.raises(UsageError, match="hidden"):
        pg.remove(0)
    with pytest.raises(UsageError, match="hidden"):
        pg.cell_text(0)
    first = pg.desk.shown[0].setup.ref
    pg.vote(0)
    assert first in json.dumps(pg.state()["columns"])
    assert first in pg.panel.record.plain
    votes = pg.votes()
    assert list(votes["winner"]) == ["first"]
    assert list(votes["first"]) == [first]
    assert list(votes["blind"]) == [True]


def test_blind_columns_are_shuffled(make: Make) -> None:
    pg = make(blind=True)
    orders = set()
    for _ in range(40):
        pg.desk.round = None
        turns = pg.desk.ask_all()
        for turn in turns:
            turn.answer.phase = "failed"
        orders.add(tuple(column.setup.ref for column in pg.desk.shown))
        if len(orders) == 2:
            break
    assert len(orders) == 2


def test_a_blind_run_that_cannot_be_voted_on_shows_its_names(
    make: Make, kit: Kit
) -> None:
    pg = make(blind=True)
    kit.store.remove("other:f16")
    pg.run()
    assert not pg.state()["hidden"]
    assert "other:f16" in pg.panel.record.plain


def test_another_answer_to_the_same_stays_in_its_blind_run(make: Make) -> None:
    pg = make(blind=True)
    pg.run()
    order = [column.id for column in pg.desk.shown]
    turn = pg.turns[1]
    assert turn is not None
    pg.regenerate(turn)
    assert [column.id for column in pg.desk.shown] == order
    assert pg.state()["hidden"]
    assert pg.state()["vote"]["open"]
    with pytest.raises(UsageError, match="hidden"):
        pg.edit(turn, "Say another thing")
    with pytest.raises(UsageError, match="hidden"):
        pg.say("And then?", 0)
    with pytest.raises(UsageError, match="hidden"):
        pg.pick(turn, 1)
    assert {one["turns"][0]["of"] for one in pg.state()["columns"]} == {1}
    pg.vote(1)
    assert list(pg.votes()["second_answer"]) == ["three"]


def test_who_looks_before_the_vote_does_not_vote_blind(make: Make) -> None:
    pg = make(blind=True)
    pg.run()
    pg.blind(False)
    assert MODEL in pg.panel.record.plain
    pg.vote("tie")
    assert list(pg.votes()["blind"]) == [False]


def test_a_run_is_voted_on_once(make: Make) -> None:
    pg = make()
    with pytest.raises(UsageError, match="nothing to vote on"):
        pg.vote(0)
    pg.run()
    with pytest.raises(UsageError, match="no answer 5"):
        pg.vote(5)
    pg.vote("neither")
    with pytest.raises(UsageError, match="was voted on"):
        pg.vote(0)
    assert len(pg.votes()) == 1


def test_the_best_of_three_wins_against_each_of_the_others(make: Make) -> None:
    pg = make(MODEL, "other:f16", MODEL, params=[{}, {}, {"temperature": 0.0}])
    pg.run()
    pg.vote(1)
    votes = pg.votes()
    assert list(votes["winner"]) == ["second", "first"]
    assert len(pg.pairs()) == 2


def cast(n_first: int, n_second: int, n_tie: int = 0) -> list[Vote]:
    counts: dict[Winner, int] = {"first": n_first, "second": n_second, "tie": n_tie}
    winners = [winner for winner, n in counts.items() for _ in range(n)]
    a, b = {"ref": "a:q8"}, {"ref": "b:q4"}
    return [Vote("p", a, b, "x", "y", one, True) for one in winners]


def test_few_votes_tell_nothing_and_many_do() -> None:
    (few,) = pairs(cast(5, 2))
    assert few.verdict.startswith("n=7: too few to tell")
    assert (few.n_first, few.n_second, few.n_blind) == (5, 2, 7)
    assert few.share.low < 0.5 < few.share.high
    (many,) = pairs(cast(14, 2, 3))
    assert many.verdict.startswith("n=19: a:q8 is liked better")
    (none,) = pairs(cast(0, 0, 2))
    assert none.verdict == "n=2: no vote decided"


def test_a_pair_is_the_same_whichever_stood_first() -> None:
    a, b = {"ref": "a"}, {"ref": "b"}
    votes = [
        Vote("p", a, b, "x", "y", "first", True),
        Vote("p", b, a, "y", "x", "second", True),
    ]
    (pair,) = pairs(votes)
    assert (pair.first, pair.n_first, pair.n_second) == ("a", 2, 0)


def test_votes_stand_in_widget_and_record(make: Make) -> None:
    pg = make()
    pg.run()
    pg.vote(0)
    assert "n=1: too few to tell" in pg.panel.record.plain
    assert "n=1: too few to tell" in str(pg.panel.record.html)
    assert pg.state()["pairs"][0][2:6] in (["1", "0", "0", "0"], ["0", "1", "0", "0"])
