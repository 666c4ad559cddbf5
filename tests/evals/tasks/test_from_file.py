"""A data file alone: its columns and its scorer are guessed, and it says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.choice import Choice
from localkit.evals.scorers.includes import Includes
from localkit.evals.scorers.instructions import Instructions
from localkit.evals.scorers.numeric import Numeric
from localkit.evals.scorers.translation import Chrf
from localkit.evals.tasks.catalog import load_task
from localkit.evals.tasks.from_file import task_from_file

if TYPE_CHECKING:
    from pathlib import Path


def csv(folder: Path, text: str, name: str = "my prompts.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_csv_of_prompts_and_expected_answers_is_a_task(tmp_path: Path) -> None:
    path = csv(tmp_path, "prompt,expected\nCapital of France?,Paris\n2+2?,4\n")
    task = load_task(str(path))
    assert task == task_from_file(path)
    assert (task.name, task.method, task.scorers) == (
        "my prompts",
        "generate",
        (Includes(),),
    )
    assert [(s.prompt, s.target) for s in task.samples] == [
        ("Capital of France?", ("Paris",)),
        ("2+2?", ("4",)),
    ]
    assert task.remark == (
        "Taken from my prompts.csv: prompt from 'prompt', right answer from "
        "'expected'. Scored by includes: the targets are short; an answer that has "
        "one as whole words is right."
    )


@pytest.mark.parametrize(
    "header",
    ["question,answer", " Input , Target", "INSTRUCTION,Expected Output", "text,label"],
)
def test_columns_go_by_many_names(tmp_path: Path, header: str) -> None:
    task = task_from_file(csv(tmp_path, f"{header}\nCapital of France?,Paris\n"))
    assert task.samples[0].prompt == "Capital of France?"
    assert task.samples[0].target == ("Paris",)


def test_semicolons_blank_rows_and_a_byte_order_mark_come_from_spreadsheets(
    tmp_path: Path,
) -> None:
    text = "\ufeffid;prompt;expected\r\nx;2,5 + 2,5?;5\r\n;;\r\ny;1+1?;2\r\n;;\r\n"
    task = task_from_file(csv(tmp_path, text))
    assert [sample.id for sample in task.samples] == ["x", "y"]
    assert task.scorers == (Numeric(),)
    assert "Blank rows left out: 2." in task.remark


def test_columns_of_choices_are_ranked_by_likelihood(tmp_path: Path) -> None:
    text = "question,A,B,C,answer\nRed?,#00f,#f00,#0f0,B\nNone?,x,y,z,z\n"
    task = task_from_file(csv(tmp_path, text))
    assert task.method == "choices"
    assert [(s.choices, s.gold) for s in task.samples] == [
        (("#00f", "#f00", "#0f0"), 1),
        (("x", "y", "z"), 2),
    ]
    assert "choices from 'A', 'B', 'C'" in task.remark


def rows(*targets: Any, **more: Any) -> list[dict[str, Any]]:
    return [
        {"prompt": f"{number}?", "expected": one, **more}
        for number, one in enumerate(targets)
    ]


LONG = "a sentence of more than five words"


@pytest.mark.parametrize(
    ("data", "scorer"),
    [
        (rows("4", "$1,000", "-2.5", "3/4", "50%"), Numeric()),
        (rows(4, 2.5), Numeric()),
        (rows("4", "four"), Includes()),
        (rows("Paris", ["NYC", "New York"]), Includes()),
        (rows(*["yes", "no"] * 3), Choice(labels=("no", "yes"))),
        (rows(*["yes", "no"] * 2), Includes()),
        (rows(*["yes"] * 6), Includes()),
        (rows(LONG, "short"), Chrf()),
        (rows(LONG, checks=[{"type": "json"}]), Instructions()),
    ],
)
def test_the_scorer_suits_the_targets(
    tmp_path: Path, data: list[dict[str, Any]], scorer: object
) -> None:
    text = "\n".join(json.dumps(row) for row in data)
    task = task_from_file(csv(tmp_path, text, "d.jsonl"))
    assert task.scorers == (scorer,)
    assert f"Scored by {task.scorers[0].name}: " in task.remark


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column that is known to hold the prompt; it has 'a', 'b'"),
        ("prompt\nhello\n", "known to hold the answer"),
        ("prompt,expected\n", "holds no rows"),
        ("prompt,expected\n,\n", "no column"),
        ("prompt,expected\nWhat?,\n", "row 0 of my prompts has no text in field"),
        ("prompt,prompt,expected\na,b,c\n", "names the field 'prompt' twice"),
        ("prompt,expected,id\na,b,1\nc,d,1\n", "two items with the id '1'"),
        ("prompt,A,B,answer\nx,a,b,E\n", "the answer 'E' for 2 choices"),
    ],
)
def test_E2_a_file_that_makes_no_task_says_why(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DatasetInvalid, match=message) as caught:
        task_from_file(csv(tmp_path, text))
    assert caught.value.hint


def test_E5_a_formula_is_text_and_stays_so(tmp_path: Path) -> None:
    text = 'prompt,expected\n"=HYPERLINK(""http://x"")",@SUM(1)\n'
    [sample] = task_from_file(csv(tmp_path, text)).samples
    assert (sample.prompt, sample.target) == ('=HYPERLINK("http://x")', ("@SUM(1)",))
