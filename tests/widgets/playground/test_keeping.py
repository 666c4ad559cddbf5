from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import UsageError
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.kit import Kit
    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]


def test_every_run_is_a_version_that_can_be_opened_with_its_answers(make: Make) -> None:
    pg = make(
        prompt="Name a {{what}}",
        variables={"what": "fox"},
        system="Be brief.",
        examples=[("a", "b")],
        params=[{"temperature": 0.5}, {}],
    )
    pg.run()
    pg.say("And then?")
    pg.rate(0, 1, "good")
    pg.write(prompt="Something else")
    pg.run()
    assert list(pg.versions()["version"]) == [3, 2, 1]
    again = make(MODEL, prompt="", name="playground")
    again.open(2)
    assert again.desk.draft.prompt == "Name a {{what}}"
    assert again.desk.draft.variables == {"what": "fox"}
    assert [one.words for one in again.desk.shown] == [
        "tiny:f16 · temperature 0.5",
        "other:f16",
    ]
    assert again.answers == ["three", "four"]
    turn = again.turns[0]
    assert turn is not None
    assert [one.said for one in turn.path] == ["Name a fox", "And then?"]
    assert (turn.answer.score, turn.answer.comment) == (1, "good")
    assert again.results == [None, None]
    again.say("More?", 0)
    assert again.turns[0].depth == 3  # type: ignore[union-attr]


def test_a_version_of_another_name_or_number_is_not_there(make: Make) -> None:
    pg = make()
    pg.run()
    with pytest.raises(UsageError, match="no version 9"):
        pg.open(9)
    with pytest.raises(UsageError, match="no version 1"):
        make(name="another").open(1)


def test_a_damaged_version_is_an_error_and_not_a_traceback(make: Make) -> None:
    pg = make()
    for body in (
        {},
        {"draft": {"prompt": 3}},
        {"draft": {}, "answers": [{"column": 4}]},
    ):
        id = pg.shelf.versions.add(body)
        with pytest.raises(UsageError):
            pg.open(id)


def test_the_prompt_of_a_version_is_compared_word_by_word(make: Make) -> None:
    pg = make(MODEL, prompt="Name a small fox")
    pg.run()
    pg.write(prompt="Name a red fox", system="Be brief.")
    difference = pg.diff(1)
    assert ("-", "small") in difference.pieces()
    assert ("+", "red") in difference.pieces()
    assert str(difference) == (
        "[system]\n{+Be brief.+}\n[prompt]\nName a [-small-]{+red+} fox"
    )
    pg.run()
    assert pg.diff(2, 2).is_none


def test_a_preset_brings_back_prompt_params_and_columns(make: Make, kit: Kit) -> None:
    pg = make(MODEL, prompt="Name a fox", params={"temperature": 0.25, "think": False})
    pg.save_preset("foxes")
    again = make()
    again.load_preset("foxes")
    assert again.desk.draft.prompt == "Name a fox"
    assert [one.words for one in again.desk.shown] == [
        "tiny:f16 · temperature 0.25 · think off"
    ]
    with pytest.raises(UsageError, match="no preset 'foxs'") as caught:
        again.load_preset("foxs")
    assert "foxes" in caught.value.hint
    again.delete_preset("foxes")
    assert kit.history.select("SELECT * FROM presets") == []
    with pytest.raises(UsageError, match="no preset"):
        again.delete_preset("foxes")


def test_a_preset_whose_model_is_gone_opens_and_says_so_when_it_runs(
    make: Make, kit: Kit
) -> None:
    make().save_preset("both")
    kit.store.remove(MODEL)
    pg = make("other:f16")
    pg.load_preset("both")
    pg.run()
    assert "not in the store" in pg.turns[0].answer.note  # type: ignore[union-attr]


def test_a_stopped_run_is_kept_with_what_there_was(make: Make) -> None:
    pg = make()
    pg.asking._worker.stop()
    turns = pg.desk.ask_all()
    pg.asking._pending = list(turns)
    pg.asking.stop()
    assert len(pg.versions()) == 1
