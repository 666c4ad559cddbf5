from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import ModelNotFound, UsageError
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.chat.result import Result
    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime
    from localkit.widgets.playground.playground import Playground
    from localkit.widgets.playground.turns import Turn

    Make = Callable[..., Playground]

WITHIN_S = 10


def turns_of(pg: Playground) -> list[Turn]:
    return [turn for turn in pg.turns if turn is not None]


def results_of(pg: Playground) -> list[Result]:
    return [result for result in pg.results if result is not None]


class Gate:
    """Holds an answer at its third token until it is opened."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        runtime.before_token = self.wait

    def wait(self, index: int) -> None:
        if index == 2:
            self.reached.set()
            assert self.opened.wait(WITHIN_S)


def test_every_column_answers_the_prompt_with_its_variables(make: Make) -> None:
    pg = make(prompt="Name a {{ what }}", variables={"what": "fox"})
    pg.run()
    assert pg.answers == ["one", "two"]
    assert "Name a fox" in results_of(pg)[0].prompt
    assert [turn.answer.phase for turn in turns_of(pg)] == ["done", "done"]


def test_system_message_and_examples_stand_before_the_prompt(make: Make) -> None:
    pg = make(
        MODEL, system="Be {{how}}.", variables={"how": "brief"}, examples=[("a", "b")]
    )
    pg.run()
    asked = results_of(pg)[0].messages[:-1]
    assert [(one.role, one.content) for one in asked] == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "Say something"),
    ]


def test_a_variable_without_a_value_is_an_error_that_names_it(make: Make) -> None:
    pg = make(prompt="Name a {{animal}} and a {{plant}}", variables={"plant": "fern"})
    with pytest.raises(UsageError, match="no value for animal"):
        pg.run()
    pg.panel.hear({"do": "run", "draft": {"prompt": "Name a {{animal}}"}})
    assert "no value for animal" in pg.panel.error


def test_each_column_is_asked_with_its_own_params(
    make: Make,
) -> None:
    pg = make(params=[{"temperature": 0.5, "seed": 3, "max_tokens": 2}, {"n_ctx": 256}])
    pg.run()
    first, second = (result.receipt for result in pg.results if result)
    assert (first.params.temperature, first.params.seed) == (0.5, 3)
    assert results_of(pg)[0].usage.n_generated == 2
    assert second.runtime.n_ctx >= 256


def test_stop_keeps_the_partial_answer_and_does_not_begin_the_others(
    make: Make, runtime: FakeRuntime
) -> None:
    gate = Gate(runtime)
    pg = make()
    pg.run(wait=False)
    assert gate.reached.wait(WITHIN_S)
    assert pg.busy
    assert pg.state()["status"] == "answering 1 of 2"
    with pytest.raises(UsageError, match="still being written"):
        pg.run()
    pg.stop()
    gate.opened.set()
    pg.wait()
    first, second = pg.turns
    assert first is not None
    assert second is not None
    assert (first.answer.text, first.answer.phase) == ("on", "stopped")
    assert "interrupted" in first.answer.note
    assert second.answer.note == "stopped before it began"
    assert not pg.state()["busy"]
    runtime.before_token = lambda _: None
    pg.run()
    assert [turn.answer.phase for turn in turns_of(pg)] == ["done", "done"]


def test_text_goes_to_the_views_as_it_comes(make: Make) -> None:
    heard: list[Any] = []
    pg = make(MODEL)
    pg.asking._feed._send = heard.append
    pg.run()
    added = [message["add"] for message in heard if message["kind"] == "text"]
    assert "".join("".join(one.values()) for one in added) == "one"


def test_a_model_that_is_gone_fails_in_its_column_alone(make: Make, kit: Kit) -> None:
    pg = make()
    kit.store.remove(MODEL)
    pg.run()
    first, second = pg.turns
    assert first is not None
    assert second is not None
    assert first.answer.phase == "failed"
    assert "not in the store" in first.answer.note
    assert second.answer.text == "one"


def test_an_unknown_model_or_param_is_refused_at_once(make: Make) -> None:
    with pytest.raises(ModelNotFound):
        make("nobody:f16")
    with pytest.raises(UsageError, match="temperature"):
        make(MODEL, params={"temperature": 99})
    with pytest.raises(UsageError, match="temprature"):
        make(MODEL, params={"temprature": 1})
    with pytest.raises(UsageError, match="2 models and 1 params"):
        make(params=[{}])


def test_columns_are_added_changed_and_taken_away(make: Make) -> None:
    pg = make(MODEL)
    pg.add(MODEL, temperature=0.3)
    pg.set_up(0, max_tokens=1)
    pg.run()
    assert pg.answers == ["o", "two"]
    pg.set_up(0, max_tokens=None, ref="other")
    pg.remove(1)
    assert [one.words for one in pg.desk.shown] == ["other:f16"]
    for _ in range(7):
        pg.add(MODEL)
    with pytest.raises(UsageError, match="8 columns"):
        pg.add(MODEL)


def test_frames_and_repr_say_what_was_answered(make: Make) -> None:
    pg = make()
    pg.run()
    frame = pg.to_frame()
    assert list(frame["text"]) == ["one", "two"]
    assert list(frame["model"]) == ["tiny:f16", "other:f16"]
    assert repr(pg) == "<Playground playground: tiny:f16, other:f16>"
