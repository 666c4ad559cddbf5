from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DatasetInvalid
from localkit.evals.tasks.catalog import load_task, load_text, task_names, text_names
from localkit.evals.tasks.sample import Sample
from localkit.evals.tasks.task import NORMS, task_from_data

if TYPE_CHECKING:
    from pathlib import Path
from typing import Any

ROWS: list[dict[str, Any]] = [
    {"q": "2 + 2 is", "options": ["3", "4"], "right": 1, "key": "sum"},
    {"q": "The sky is", "options": ["blue", "green"], "right": "A", "key": "sky"},
]
CARD = """
name = "mine"
kind = "multiple_choice"
data = "data.jsonl"
sha256 = "{sha256}"
prompt = "Q: {{q}}\\nA:"
choices = "options"
answer = "right"
licence = "CC0-1.0"
source = "made up"
"""
LINE = b'{"q": "2 + 2 is", "options": ["3", "4"], "right": 1}\n'


def card(
    folder: Path, *, data: bytes = LINE, sha256: str = "", extra: str = ""
) -> Path:
    (folder / "data.jsonl").write_bytes(data)
    digest = sha256 or hashlib.sha256(data).hexdigest()
    path = folder / "task.toml"
    path.write_text(CARD.format(sha256=digest) + extra, encoding="utf-8")
    return path


def test_rows_become_items_with_fields_filled_in() -> None:
    task = task_from_data(
        "t", ROWS, prompt="Q: {q}\nA:", choices="options", answer="right", id="key"
    )
    assert task.samples == (
        Sample("sum", "Q: 2 + 2 is\nA:", ("3", "4"), 1, fields=ROWS[0]),
        Sample("sky", "Q: The sky is\nA:", ("blue", "green"), 0, fields=ROWS[1]),
    )


def test_choices_may_be_a_field_each_and_answers_numbers_or_letters() -> None:
    rows = [{"q": "x", "A": "1", "B": 2, "right": right} for right in (1, "1", "B")]
    task = task_from_data("t", rows, prompt="{q}", choices=["A", "B"], answer="right")
    assert [item.gold for item in task.samples] == [1, 1, 1]
    assert task.samples[0].choices == ("1", "2")
    assert [item.id for item in task.samples] == ["0", "1", "2"]


def test_a_data_frame_and_a_data_set_make_the_same_task() -> None:
    import datasets
    import pandas as pd

    tasks = [
        task_from_data("t", data, prompt="{q}", choices="options", answer="key_")
        for data in (
            [{**row, "key_": "A", "right": 0} for row in ROWS],
            pd.DataFrame([{**row, "key_": "A", "right": 0} for row in ROWS]),
            datasets.Dataset.from_list(
                [{**row, "key_": "A", "right": 0} for row in ROWS]
            ),
        )
    ]
    assert len({task.digest for task in tasks}) == 1


def test_E5_prompt_template_reaches_no_attributes() -> None:
    row = {"q": "x", "options": ["a", "b"], "right": 0}
    task = task_from_data(
        "t", [row], prompt="{q} {q.__class__}", choices="options", answer="right"
    )
    assert task.samples[0].prompt == "x {q.__class__}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": None}, "no text in field 'q'"),
        ({"q": float("nan")}, "no text in field 'q'"),
        ({"q": "  "}, "no text in field 'q'"),
        ({"q": "\ud800"}, "half a character in field 'q'"),
        ({"options": ["only one"]}, "has 1 choices"),
        ({"options": "ab"}, "has 0 choices"),
        ({"options": ["a", None]}, "no text in field 'options'"),
        ({"options": ["a"] * 65}, "has 65 choices"),
        ({"right": 2}, "answer '2' for 2 choices"),
        ({"right": -1}, "answer '-1'"),
        ({"right": "red"}, "answer 'red'"),
        ({"q": "a\0b"}, "a NUL in field 'q'"),
        ({"extra": b"\x89PNG"}, "row 1 of t holds a bytes"),
        ({"right": "²"}, "answer '²'"),
        ({"key": "sum"}, "two items with the id 'sum'"),
    ],
)
def test_E2_a_row_that_cannot_be_asked_is_named(
    change: dict[str, object], message: str
) -> None:
    rows = [ROWS[0], {**ROWS[1], **change}]
    with pytest.raises(DatasetInvalid, match=message.replace("²", ".")):
        task_from_data(
            "t", rows, prompt="{q}", choices="options", answer="right", id="key"
        )


def test_a_missing_field_is_named_beside_those_there_are() -> None:
    with pytest.raises(
        DatasetInvalid, match="row 0 of t has no field 'label'"
    ) as caught:
        task_from_data("t", ROWS, prompt="{q}", choices="options", answer="label")
    assert "options" in caught.value.hint


def test_digest_follows_what_is_asked_not_how_it_is_scored() -> None:
    def digest(**change: str) -> str:
        arguments = {"prompt": "{q}", "choices": "options", "answer": "right"} | change
        return task_from_data("t", ROWS, **arguments).digest  # type: ignore[arg-type]

    assert digest() == digest(norm="none")
    assert len({digest(), digest(joiner="\n"), digest(prompt="Q {q}")}) == 3


def test_packaged_hellaswag_is_what_its_card_says() -> None:
    task = load_task("hellaswag")
    assert "hellaswag" in task_names()
    assert len(task.samples) == 100
    assert all(len(item.choices) == 4 for item in task.samples)
    assert task.samples[0].id == "hellaswag-val-00106"
    assert task.samples[0].prompt.startswith("Paintball: A shot of a sunset")
    assert task.samples[0].prompt.endswith("playing paint ball. They")
    assert "[" not in "".join(item.prompt for item in task.samples)
    assert (task.licence, task.norm, task.joiner) == ("MIT", "char", " ")
    assert task.norm in NORMS


def test_packaged_text_is_what_its_card_says() -> None:
    text = load_text()
    assert {"calibration", "jargon-file"} <= {*text_names()}
    assert text.digest == f"sha256:{hashlib.sha256(text.text.encode()).hexdigest()}"
    assert text.licence == "public domain"
    assert len(text.text.encode()) > 100_000


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_users_task_is_found_by_path(tmp_path: Path, named: str) -> None:
    path = card(tmp_path)
    task = load_task(path if named == "file" else str(tmp_path))
    assert task.samples[0].prompt == "Q: 2 + 2 is\nA:"


def test_a_users_text_is_any_utf8_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes("Grüße\r\n".encode())
    assert load_text(path).text == "Grüße\r\n"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetInvalid, match="not UTF-8 at byte 0"):
        load_text(path)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DatasetInvalid, match="no task 'helaswag'") as caught:
        load_task("helaswag")
    assert "hellaswag" in caught.value.hint
    with pytest.raises(DatasetInvalid, match="no text 'jargon'"):
        load_text("jargon")


def test_E3_data_that_changed_under_its_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="does not hash"):
        load_task(card(tmp_path, sha256="0" * 64))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("norm = 'luck'", "norm"),
        ("secret = 1", "secret"),
        ("name = 3", "TOML"),
        ("[", "TOML"),
    ],
)
def test_a_card_with_mistakes_is_refused(
    tmp_path: Path, extra: str, message: str
) -> None:
    with pytest.raises(DatasetInvalid, match=message):
        load_task(card(tmp_path, extra=extra))


@pytest.mark.parametrize("data", ["../data.jsonl", "/etc/passwd", "a/b.jsonl", ".x"])
def test_E5_a_card_names_no_file_outside_its_folder(tmp_path: Path, data: str) -> None:
    path = card(tmp_path)
    text = path.read_text(encoding="utf-8").replace('"data.jsonl"', f'"{data}"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetInvalid, match="data"):
        load_task(path)
