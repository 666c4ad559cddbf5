"""Multiple-choice samples in the two forms that llama-perplexity reads."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.evals.tasks.sample import Sample


def write_hellaswag(path: Path, samples: Sequence[Sample]) -> Path:
    """Write six lines a sample: prompt, index of the right ending, four endings."""
    lines = [
        line
        for sample in samples
        for line in (sample.prompt, str(sample.gold), *sample.choices)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_multiple_choice(path: Path, samples: Sequence[Sample]) -> Path:
    """Write the binary file of ``--multiple-choice``.

    Source: llama.cpp, tools/perplexity/perplexity.cpp, ``multiple_choice_score()``:
    count, position of each task, tasks; of a task the question, the answers with
    one right one, and those with several, which are not used.
    """
    tasks = [_task(sample) for sample in samples]
    head = struct.pack("<I", len(tasks))
    at, positions = len(head) + 4 * len(tasks), []
    for task in tasks:
        positions.append(at)
        at += len(task)
    head += struct.pack(f"<{len(tasks)}I", *positions)
    path.write_bytes(head + b"".join(tasks))
    return path


def _task(sample: Sample) -> bytes:
    labels = [int(index == sample.gold) for index in range(len(sample.choices))]
    answers = b"".join(map(_text, sample.choices))
    one_right = struct.pack("<I", len(labels)) + answers
    one_right += struct.pack(f"<{len(labels)}i", *labels)
    return _text(sample.prompt) + one_right + struct.pack("<I", 0)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<I", len(content)) + content
