from __future__ import annotations

import pytest

from localkit.errors import UsageError
from localkit.evals.comparing.which import plain_prompts, which
from localkit.evals.tasks.catalog import load_task, load_text
from localkit.evals.tasks.suites import load_suite, suites
from tests.evals.comparing.test_compare import probed
from tests.evals.tiny_family import tiny_kit

__all__ = ["probed"]

QUANTS = {"f16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0"}


def test_a_users_own_csv_is_asked_of_every_quant(tmp_path, probed):
    table = tmp_path / "mine.csv"
    rows = [f"What comes after {n}?,{n + 1}" for n in range(12)]
    table.write_text("prompt,expected\n" + "\n".join(rows) + "\n", encoding="utf-8")
    kit = tiny_kit(tmp_path, QUANTS)
    comparison = which("tiny", table, effort="quick", kit=kit)
    task = comparison.setup.task
    assert task is not None
    assert (task.name, task.n_items) == ("mine", 12)
    assert {row.label for row in comparison.rows if row.task} == {"F16", "Q8_0", "Q4_0"}
    assert "mine.csv" in comparison.setup.command


def test_prompts_alone_are_measured_with_the_references_answers(tmp_path, probed):
    kit = tiny_kit(tmp_path, QUANTS)
    prompts = ["Tell me a story.", "Name a colour.", "What is two and two?"]
    comparison = which("tiny", prompts, effort="quick", kit=kit)
    assert comparison.setup.task is None
    assert [corpus.name for corpus in comparison.setup.corpora] == ["your prompts"]
    assert comparison.setup.corpora[0].n_chunks == 3
    worse = next(row for row in comparison.rows if row.label == "Q4_0")
    assert worse.quality is not None
    assert worse.quality.kld.n == 3


def test_prompts_in_a_text_file_stand_one_a_line(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("One?\n\nTwo?\n", encoding="utf-8")
    assert plain_prompts(path) == ("One?", "Two?")
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no prompt"):
        plain_prompts(path)


@pytest.mark.parametrize("given", [["a", {"prompt": "b"}], [], [1, 2]])
def test_prompts_of_no_known_form_are_refused(given):
    with pytest.raises(UsageError, match="prompts"):
        plain_prompts(given)


def test_every_suite_names_texts_and_tasks_that_are_there():
    assert list(suites()) == ["quick", "standard", "full"]
    for suite in suites().values():
        for name in suite.texts:
            assert load_text(name).licence
        for name, amount in suite.tasks.items():
            task = load_task(name)
            assert task.licence
            assert amount is None or amount <= len(task.samples)


def test_an_unknown_suite_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="quik") as caught:
        load_suite("quik")
    assert "quick" in caught.value.hint
