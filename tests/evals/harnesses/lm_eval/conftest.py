"""Tasks of lm-eval's own wheel, with items that lie in files here."""

from __future__ import annotations

import json
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from localkit.kit import Kit, set_default

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARC = [
    ("The capital of France is", ["Paris", "Rome", "a dog"], "A"),
    ("The opposite of hot is", ["green", "cold"], "B"),
    ("The sun rises in the", ["east", "soup", "sea floor", "pocket"], "A"),
]
PAGES = ["The quick brown fox jumps over the lazy dog . \n" * 3, "Paris is a city . \n"]
SUMS = [("What is 1+1?", "It is two. #### 2"), ("What is 2+5?", "It is. #### 7")]


@pytest.fixture
def needs_lm_eval() -> None:
    if find_spec("lm_eval") is None:
        pytest.skip("lm-eval is not installed (pip install 'localkit[lm-eval]')")


@pytest.fixture
def kit(tiny_gguf: Path) -> Iterator[Kit]:
    """Return the process's kit, with the real engine and `tiny:f16`."""
    kit = Kit()
    kit.store.add(tiny_gguf, "tiny:f16")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


@pytest.fixture
def tasks(needs_lm_eval: None, tmp_path: Path) -> Path:
    """Return a folder of three tasks as the wheel defines them, on local items.

    ``arc`` is multiple choice, ``wiki`` rolling, ``sums`` (gsm8k) is generated.
    """
    shipped = resources.files("lm_eval") / "tasks"
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows: dict[str, list[dict[str, Any]]] = {
        "arc": [
            {
                "question": question,
                "choices": {"text": texts, "label": list("ABCD"[: len(texts)])},
                "answerKey": key,
            }
            for question, texts, key in ARC
        ],
        "wiki": [{"page": page} for page in PAGES],
        "sums": [{"question": asked, "answer": answer} for asked, answer in SUMS],
    }
    changes: dict[str, dict[str, Any]] = {
        "arc": {"include": str(shipped / "arc" / "arc_easy.yaml")},
        "wiki": {"include": str(shipped / "wikitext" / "wikitext.yaml")},
        "sums": {
            "include": str(shipped / "gsm8k" / "gsm8k.yaml"),
            "num_fewshot": 1,
            "generation_kwargs": {"until": ["Question:"], "max_gen_toks": 8},
        },
    }
    for name, change in changes.items():
        data = folder / f"{name}.jsonl"
        lines = [json.dumps(row) for row in rows[name]]
        data.write_text("\n".join(lines), encoding="utf-8")
        splits = dict.fromkeys(("train", "validation", "test"), str(data))
        task = {
            **change,
            "task": name,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": splits},
        }
        # JSON is YAML.
        (folder / f"{name}.yaml").write_text(json.dumps(task), encoding="utf-8")
    return folder
