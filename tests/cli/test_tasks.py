from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.evals.scorers.registry import scorer_types

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_tasks_lists_what_comes_along(run: Callable[..., Result]) -> None:
    shown = run("tasks")
    assert shown.exit_code == 0
    [line] = [one for one in shown.stdout.splitlines() if one.startswith("hellaswag")]
    assert "100" in line
    assert "MIT" in line
    assert "jargon-file" in shown.stdout


def test_tasks_shows_one_as_it_is_asked(run: Callable[..., Result]) -> None:
    shown = run("tasks", "hellaswag").stdout
    assert "Paintball: A shot of a sunset set" in shown
    assert "<- right" in shown


def test_tasks_says_what_it_takes_from_a_users_file(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("question,answer\nCapital of France?,Paris\n", encoding="utf-8")
    shown = run("tasks", str(path)).stdout
    assert "prompt from 'question', right answer from 'answer'" in shown
    assert "[user] Capital of France?" in shown
    assert "right answer: Paris" in shown


def test_tasks_explains_every_scorer(run: Callable[..., Result]) -> None:
    shown = run("tasks", "--scorers")
    assert shown.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line}
    assert {*scorer_types()} <= lines.keys()
    assert "1 when the last number of the answer is the target's." in lines["numeric"]
    assert "abs_tol, rel_tol" in lines["numeric"]


def test_tasks_shows_a_text_and_where_it_is_from(run: Callable[..., Result]) -> None:
    assert "public domain" in run("tasks", "jargon-file").stdout


def test_tasks_names_the_nearest_to_a_wrong_name(run: Callable[..., Result]) -> None:
    shown = run("tasks", "helaswag")
    assert shown.exit_code == 1
    assert "hellaswag" in shown.stderr
