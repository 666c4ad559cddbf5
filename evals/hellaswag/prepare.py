"""Make items.jsonl from a JSON Lines file of HellaSwag rows.

python evals/hellaswag/prepare.py cases.jsonl > evals/hellaswag/items.jsonl
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

LAST_FRAGMENT = re.compile(r"(?s)(.*[.!?] )([a-z][^.!?]*)")


def clean(text: str) -> str:
    """Return ``text`` as lm-evaluation-harness's `hellaswag` task prepares it.

    The brackets are headings of the WikiHow half of the data.
    Source: lm_eval/tasks/hellaswag/utils.py, ``preprocess``.
    """
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def capitalize_fragment(ctx: str) -> str:
    """Capitalize the unfinished sentence that ends ``ctx``, if there is one.

    lm-evaluation-harness joins ``ctx_a`` and ``ctx_b.capitalize()``; the rows
    here hold the two already joined, ``ctx_b`` in lower case.
    """
    match = LAST_FRAGMENT.fullmatch(ctx)
    return match[1] + match[2].capitalize() if match else ctx


def item(row: dict[str, object]) -> dict[str, object]:
    """Return one row in the four fields that task.toml names."""
    ctx = capitalize_fragment(str(row["ctx"]))
    endings = row["endings"]
    if not isinstance(endings, list):
        msg = f"{row['id']}: endings is not a list"
        raise TypeError(msg)
    return {
        "id": row["id"],
        "prompt": clean(f"{row['activity_label']}: {ctx}"),
        "choices": [clean(ending) for ending in endings],
        "answer": row["expected_index"],
    }


def main() -> None:
    """Read the file named on the command line and write items to stdout."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    for line in lines:
        sys.stdout.write(json.dumps(item(json.loads(line)), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
