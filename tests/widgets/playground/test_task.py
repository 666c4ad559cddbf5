from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DatasetInvalid, UsageError
from localkit.evals.running.evaluate import evaluate
from localkit.evals.tasks.catalog import load_task
from tests.fixtures.kits import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime
    from localkit.widgets.playground.playground import Playground

    Make = Callable[..., Playground]


def rated(make: Make, **options: object) -> Playground:
    pg = make(MODEL, prompt="Name a {{what}}", variables={"what": "fox"}, **options)
    pg.run()
    pg.rate(0, 1)
    pg.write(variables={"what": "fern {}"})
    pg.run()
    pg.rate(0, 1)
    pg.write(variables={"what": "stone"})
    pg.run()
    pg.rate(0, -1)
    return pg


def test_liked_answers_become_targets(make: Make) -> None:
    task = rated(make).to_task("mine")
    assert [(one.prompt, one.target) for one in task.samples] == [
        ("Name a fox", ("one",)),
        ("Name a fern {}", ("two",)),
    ]
    assert [one.name for one in task.scorers] == ["includes"]
    assert "liked in the playground" in task.remark


def test_a_task_gives_answers_the_room_that_the_liked_ones_had(make: Make) -> None:
    assert rated(make).to_task().params.max_tokens == 256
    narrow = rated(make, name="narrow", params={"max_tokens": 9})
    assert narrow.to_task().params.max_tokens == 9


def test_answers_to_later_turns_or_other_instructions_are_left_out_and_counted(
    make: Make,
) -> None:
    pg = rated(make)
    pg.say("And then?")
    pg.rate(0, 1)
    assert "Left out: 1 liked" in pg.to_task().remark
    pg.write(system="Be brief.")
    with pytest.raises(UsageError, match="4 that are rated"):
        pg.to_task()


def test_scorers_are_chosen_and_an_unknown_one_is_refused(make: Make) -> None:
    pg = rated(make)
    task = pg.to_task(scorers=[{"type": "similarity", "model": MODEL}])
    assert task.scorers[0].definition()["model"] == MODEL
    with pytest.raises(DatasetInvalid, match="no scorer 'nobody'"):
        pg.to_task(scorers=["nobody"])


def test_evaluate_runs_on_the_task_file_that_was_written(
    make: Make, kit: Kit, tmp_path: Path, runtime: FakeRuntime
) -> None:
    pg = rated(make, system='Be "brief".', examples=[("a", "b\nc")])
    path = pg.save_task(tmp_path / "mine.toml")
    task = load_task(path)
    assert task.system == 'Be "brief".'
    assert [(one.prompt, one.answer) for one in task.examples] == [("a", "b\nc")]
    assert task.digest == pg.to_task("mine").digest
    kit.unload()
    runtime.replies = ["one", "wrong"]
    result = evaluate(MODEL, path, kit=kit)
    assert any("50" in cell for row in result.rows() for cell in row)


def test_a_jsonl_file_holds_prompts_alone_or_is_refused(
    make: Make, tmp_path: Path
) -> None:
    pg = rated(make)
    path = pg.save_task(tmp_path / "mine.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert rows[0] == {"prompt": "Name a fox", "target": ["one"]}
    assert len(load_task(path).samples) == 2
    with pytest.raises(UsageError, match="already"):
        pg.save_task(path)
    pg.save_task(path, overwrite=True)
    with pytest.raises(UsageError, match=r"end it in|called"):
        pg.save_task(tmp_path / "mine.txt")
    with pytest.raises(UsageError, match="would not hold"):
        rated(make, system="Be brief.", name="other").save_task(tmp_path / "b.jsonl")


@pytest.mark.parametrize(
    "scorer",
    [
        {"type": "judge", "model": MODEL, "rubric": 'say "why"\n\x7f'},
        {"type": "similarity", "model": MODEL, "threshold": 0.5},
        {"type": "includes", "ignore_case": False},
        "chrf",
    ],
)
def test_a_task_file_keeps_its_scorer(
    make: Make, tmp_path: Path, scorer: object
) -> None:
    pg = rated(make)
    path = pg.save_task(tmp_path / "mine.toml", scorers=[scorer])  # type: ignore[list-item]
    again = load_task(path).scorers[0].definition()
    assert again == pg.to_task(scorers=[scorer]).scorers[0].definition()  # type: ignore[list-item]
