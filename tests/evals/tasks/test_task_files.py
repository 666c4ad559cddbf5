"""Task files: every kind of card, from a folder of the user's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import DatasetInvalid
from localkit.evals.scorers.exact import Exact
from localkit.evals.scorers.json_answer import Json
from localkit.evals.scorers.numeric import Numeric
from localkit.evals.tasks.catalog import load_task, packaged, task_names
from localkit.evals.tasks.prompts import messages_of, text_of
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import Document, Task

if TYPE_CHECKING:
    from pathlib import Path

SUMS: list[dict[str, Any]] = [
    {"key": "a", "q": "2+2", "right": 4, "of": "small"},
    {"key": "b", "q": "9+9", "right": [18, "eighteen"], "of": "large"},
    {"key": "c", "q": "7+7", "right": "14", "of": "large"},
]
WRITTEN = """
name = "sums"
kind = "generate"
data = "data.jsonl"
prompt = "{q} = ?"
target = "right"
id = "key"
group = "of"
"""


def written(folder: Path, card: str, **files: list[dict[str, Any]]) -> Path:
    for name, rows in ({"data": SUMS} | files).items():
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    path = folder / "task.toml"
    path.write_text(card, encoding="utf-8")
    return path


def test_a_card_for_written_answers_says_all_of_it(tmp_path: Path) -> None:
    card = (
        WRITTEN
        + """
system = "Only the number."
chat = false
joiner = " "
epochs = 4
reduction = "pass@k"
k = 2
licence = "CC0-1.0"
source = "made up"
citation = "nobody"

[params]
temperature = 0.7
max_tokens = 8
stop = "\\n"
structure = { type = "integer" }

[[scorers]]
type = "numeric"
abs_tol = 0.5

[[scorers]]
type = "exact"
name = "to the letter"

[[examples]]
q = "1+1"
right = 2
"""
    )
    task = load_task(written(tmp_path, card))
    assert task.method == "generate"
    assert task.scorers == (Numeric(abs_tol=0.5), Exact(name="to the letter"))
    assert [sample.target for sample in task.samples] == [
        ("4",),
        ("18", "eighteen"),
        ("14",),
    ]
    assert [sample.group for sample in task.samples] == ["small", "large", "large"]
    assert task.samples[0].fields == SUMS[0]
    assert (task.epochs, task.reduction, task.k) == (4, "pass@k", 2)
    assert (task.params.temperature, task.params.max_tokens) == (0.7, 8)
    assert (task.params.stop, task.params.seed) == (("\n",), 0)
    assert task.params.structure is not None
    assert json.loads(task.params.structure.text) == {"type": "integer"}
    expected = "Only the number.\n\n1+1 = ? 2\n\n2+2 = ?"
    assert text_of(task, task.samples[0]) == expected
    assert (task.licence, task.source, task.citation) == (
        "CC0-1.0",
        "made up",
        "nobody",
    )


def test_one_answer_may_be_right_everywhere(tmp_path: Path) -> None:
    card = WRITTEN.replace('target = "right"', 'target_text = "yes"')
    assert {s.target for s in load_task(written(tmp_path, card)).samples} == {("yes",)}


def test_targets_may_be_several_fields_or_a_form(tmp_path: Path) -> None:
    card = WRITTEN.replace('"right"', '["key", "{q} is {of}"]')
    task = load_task(written(tmp_path, card))
    assert task.samples[0].target == ("a", "2+2 is small")


def test_values_of_json_are_one_target(tmp_path: Path) -> None:
    rows = [{**SUMS[0], "right": {"a": 1}}, {**SUMS[1], "right": [{"name": "f"}]}]
    card = WRITTEN + '[[scorers]]\ntype = "json"\ncompare = "equal"\n'
    task = load_task(written(tmp_path, card, data=rows))
    assert [sample.target for sample in task.samples] == [
        ('{"a": 1}',),
        ('[{"name": "f"}]',),
    ]
    assert task.scorers == (Json(compare="equal"),)


def test_few_shot_examples_are_the_first_rows_and_never_asked(tmp_path: Path) -> None:
    shown = [SUMS[1], {"q": "3+3", "right": 6}, {"q": "4+4", "right": 8}]
    shown = [{**row, "key": "x", "of": "y"} for row in shown]
    card = WRITTEN + 'fewshot = 2\nfewshot_data = "shown.jsonl"\n'
    task = load_task(written(tmp_path, card, shown=shown))
    contents = [message.content for message in messages_of(task, task.samples[1])]
    assert contents == ["3+3 = ?", "6", "4+4 = ?", "8", "9+9 = ?"]
    (tmp_path / "task.toml").write_text(card.replace("= 2", "= 3"), encoding="utf-8")
    with pytest.raises(DatasetInvalid, match="shows 3 examples and has 2"):
        load_task(tmp_path)


def test_without_other_data_the_rows_shown_are_not_asked(tmp_path: Path) -> None:
    task = load_task(written(tmp_path, WRITTEN + "fewshot = 1\n"))
    assert [example.prompt for example in task.examples] == ["2+2 = ?"]
    assert [sample.prompt for sample in task.samples] == ["9+9 = ?", "7+7 = ?"]
    assert [sample.id for sample in task.samples] == ["b", "c"]
    assert task.remark.startswith("The first row is shown and not asked. Scored by")
    card = WRITTEN.replace('id = "key"', "fewshot = 2")
    [sample] = load_task(written(tmp_path, card)).samples
    assert sample.id == "2"


def test_letters_are_compared_as_mmlu_does(tmp_path: Path) -> None:
    rows = [{"q": "Red?", "options": ["#0f0", "#f00"], "right": "B"}]
    card = """
name = "letters"
kind = "multiple_choice"
data = "data.jsonl"
prompt = "{q}\\n{lettered}\\nAnswer:"
choices = "options"
answer = "right"
letters = true
norm = "none"
"""
    [sample] = load_task(written(tmp_path, card, data=rows)).samples
    assert sample.prompt == "Red?\nA. #0f0\nB. #f00\nAnswer:"
    assert (sample.choices, sample.gold) == (("A", "B"), 1)


def test_sentences_with_the_option_filled_in_are_choices(tmp_path: Path) -> None:
    rows = [
        {"before": "The cup is not in the case because the", "after": "is too small.",
         "option1": "cup", "option2": "case", "right": "2"}
    ]  # fmt: skip
    card = """
name = "winogrande"
kind = "multiple_choice"
data = "data.jsonl"
prompt = "{before}"
choices = ["{option1} {after}", "{option2} {after}"]
answer = "right"
answers_from = 1
norm = "token"
"""
    [sample] = load_task(written(tmp_path, card, data=rows)).samples
    assert sample.choices == ("cup is too small.", "case is too small.")
    assert sample.gold == 1


def test_tools_come_from_the_card_or_from_a_field(tmp_path: Path) -> None:
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    rows = [{**SUMS[0], "tools": [tool]}, {**SUMS[1], "tools": json.dumps([tool])}]
    scorer = '[[scorers]]\ntype = "exact"\n'
    task = load_task(
        written(tmp_path, f'{WRITTEN}tools = "tools"\n{scorer}', data=rows)
    )
    for sample in task.samples:
        [found] = sample.fields["tools"]
        assert found["function"]["name"] == "add"
    undeclared = load_task(written(tmp_path, WRITTEN + scorer, data=rows))
    assert undeclared.samples[1].fields == task.samples[1].fields
    hammer = [{**SUMS[0], "tools": "hammer"}]
    with pytest.raises(DatasetInvalid, match="row 0 of sums: tools: ") as caught:
        load_task(written(tmp_path, WRITTEN + scorer, data=hammer))
    assert "call the field otherwise" in caught.value.hint
    inline = '\ntools = [{ function = { name = "no name" } }]\n'
    with pytest.raises(DatasetInvalid, match="row 0 of sums: tools: tool name is"):
        load_task(written(tmp_path, WRITTEN + inline + scorer))


def test_retrieval_has_a_corpus_and_what_is_to_be_found_in_it(tmp_path: Path) -> None:
    card = """
name = "find"
kind = "retrieve"
data = "data.jsonl"
corpus = "corpus.jsonl"
prompt = "{q}"
target = "finds"
"""
    corpus: list[dict[str, Any]] = [
        {"id": "d1", "text": "about cats"},
        {"id": 2, "text": "about dogs"},
    ]
    rows: list[dict[str, Any]] = [
        {"q": "cats?", "finds": ["d1"]},
        {"q": "pets?", "finds": ["d1", 2]},
    ]
    task = load_task(written(tmp_path, card, data=rows, corpus=corpus))
    assert task.method == "retrieve"
    assert task.corpus == (Document("d1", "about cats"), Document("2", "about dogs"))
    assert task.samples[1].target == ("d1", "2")
    rows[0]["finds"] = "d3"
    with pytest.raises(DatasetInvalid, match="sample 0 of find wants document 'd3'"):
        load_task(written(tmp_path, card, data=rows, corpus=corpus))
    with pytest.raises(DatasetInvalid, match="two documents with one id"):
        load_task(written(tmp_path, card, data=rows, corpus=corpus + corpus))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('kind = "guess"', "kind"),
        ('kind = "retrieve"', "no corpus"),
        ('kind = "multiple_choice"', "names none"),
        ('corpus = "data.jsonl"', "a corpus"),
        ('answer = "right"\nchoices = "q"', "has 0 choices"),
        ("k = 2", "k=2 of 1 epochs"),
        ("epochs = 0", "epochs"),
        ('reduction = "best"', "reduction"),
        ("fewshot = 3", "no items"),
        ('target = "left"', "row 0 of sums has no field 'left'"),
        ('dataset = "a/b"', "names both of data, dataset"),
        ('[params]\ntemperature = "hot"', "params: temperature"),
        ("[params]\nheat = 1", "params: there is no 'heat'"),
        ("[params]\nstructure = 3", "params: 3 is no form"),
        ('[[scorers]]\ntype = "wit"', "no scorer 'wit'"),
        ('[[scorers]]\ntype = "f1"\n[[scorers]]\ntype = "f1"', "two scorers named"),
        ('[[examples]]\nq = "1+1"', "the examples of sums has no field 'right'"),
        ("x = " + "[" * 5000, "TOML"),
    ],
)
def test_a_card_with_mistakes_says_which(
    tmp_path: Path, change: str, message: str
) -> None:
    field = change.partition(" =")[0]
    kept = [line for line in WRITTEN.splitlines() if line.partition(" =")[0] != field]
    path = written(tmp_path, "\n".join([*kept, change]))
    with pytest.raises(DatasetInvalid, match=message) as caught:
        load_task(path)
    assert caught.value.hint
    assert "\n" not in caught.value.one_line()


@pytest.mark.parametrize("name", ["..", "a/b/c", "/etc", "a b", "./here"])
def test_E5_a_card_names_a_data_set_and_no_path(tmp_path: Path, name: str) -> None:
    card = WRITTEN.replace('data = "data.jsonl"', f'dataset = "{name}"')
    with pytest.raises(DatasetInvalid, match="dataset"):
        load_task(written(tmp_path, card))


def test_E5_deep_rows_are_refused_before_anything_recurses(tmp_path: Path) -> None:
    row = {**SUMS[0], "deep": json.loads("[" * 70 + "]" * 70)}
    with pytest.raises(DatasetInvalid, match="nested deeper than 64"):
        load_task(written(tmp_path, WRITTEN, data=[row]))


@pytest.mark.parametrize("name", task_names())
def test_every_packaged_task_loads_and_states_where_it_is_from(name: str) -> None:
    task = load_task(name)
    assert task.licence
    assert task.source
    assert "sha256" in (packaged() / name / "task.toml").read_text(encoding="utf-8")
    assert len(task.digest) == 71


def test_E2_a_task_built_by_hand_is_held_to_the_same_rules() -> None:
    samples = (Sample("a", "?", target=("x",)), Sample("a#1", "?", target=("x",)))
    task = Task("t", samples, "generate", scorers=(Exact(),))
    with pytest.raises(DatasetInvalid, match=r"several epochs and a sample 'a#1'"):
        replace(task, epochs=2)
    with pytest.raises(DatasetInvalid, match="two samples with one id"):
        replace(task, samples=samples[:1] * 2)
    with pytest.raises(DatasetInvalid, match="written answers and no scorer"):
        replace(task, scorers=())


def test_a_scorers_options_are_part_of_the_digest() -> None:
    samples = (Sample("a", "?", target=("x",)),)
    tasks = [
        Task("t", samples, "generate", scorers=(scorer,))
        for scorer in (Exact(), Exact(ignore_case=True), Numeric())
    ]
    assert len({task.digest for task in tasks}) == 3
    assert replace(tasks[0], epochs=5, remark="guessed").digest == tasks[0].digest
