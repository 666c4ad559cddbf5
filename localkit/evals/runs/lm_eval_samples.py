"""``samples_TASK_DATE.jsonl`` of lm-evaluation-harness (``--log_samples``).

One line a document and filter: what was asked (``arguments``), said (``resps``,
``filtered_resps``), and a key for each metric. Model and date stand in the file
``results_DATE.json`` beside it. Source: lm_eval 0.4.13, evaluator.py and
loggers/evaluation_tracker.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid
from localkit.evals.running.asking import whole
from localkit.evals.running.result import SampleResult
from localkit.evals.runs.foreign import Foreign, as_number
from localkit.evals.scorers.protocol import Score

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.evals.tasks.kinds import Reduction

MAX_LINE_BYTES = 64 << 20
_MAX_RESULTS_BYTES = 64 << 20
_MAX_ANSWER = 100_000
_NAME = re.compile(r"samples_(.+)_(\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
_NO_METRICS = frozenset(
    {
        *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps"),
        *("filter", "metrics", "doc_hash", "prompt_hash", "target_hash"),
    }
)


class LmEvalSamples:
    """One file of samples; implements `Source`."""

    tool = "lm-eval"
    reduction: Reduction = "mean"
    k = 1

    def __init__(self, path: Path, *, metric: str | None = None) -> None:
        """Name the file; ``metric`` is put first: ``acc_norm``, ``acc,FILTER``."""
        self._path = path
        self._metric, _, self._filter = (metric or "").partition(",")
        self._other_filters: dict[str, None] = {}
        found = _NAME.fullmatch(path.name)
        self.task = found[1] if found else path.stem.removeprefix("samples_")
        self.model = self._model(found[2] if found else "")

    def answers(self) -> Iterator[Foreign]:
        """Yield the answers of one filter: the one asked for, else the first."""
        with self._path.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    entry = self._entry(line, number)
                    kept = str(entry.get("filter", "none"))
                    self._filter = self._filter or kept
                    if kept == self._filter:
                        yield self._answer(entry, number)
                    else:
                        self._other_filters[kept] = None

    def remarks(self) -> list[str]:
        """Return which filters were left out."""
        return [
            f"{self.task}: answers as filtered by '{name[:80]}' are left out; "
            f"--metric METRIC,{name[:80]} takes them"
            for name in self._other_filters
        ]

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        if len(line) > MAX_LINE_BYTES:
            raise self._invalid(number, f"is longer than {MAX_LINE_BYTES >> 20} MiB")
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._invalid(number, "is not JSON") from error
        if not isinstance(entry, dict) or "doc_id" not in entry:
            raise self._invalid(number, "is no sample: it has no doc_id")
        return entry

    def _answer(self, entry: dict[str, Any], number: int) -> Foreign:
        names = entry.get("metrics")
        if not isinstance(names, list):  # before 0.4.9
            names = [name for name in entry if name not in _NO_METRICS]
        ordered = sorted(map(str, names), key=lambda name: name != self._metric)
        if self._metric and self._metric not in ordered:
            raise self._invalid(number, f"has no metric '{self._metric[:80]}'")
        scores = {}
        for name in ordered:
            value = as_number(entry.get(name))
            why = "" if value is not None else "its value is no number"
            scores[name] = Score(value=value, why=why)
        result = SampleResult(
            id=whole(str(entry["doc_id"])),
            answer=whole(_said(entry))[:_MAX_ANSWER],
            scores=scores,
            unscored=None if scores else "it has no metric",
        )
        asked = [entry.get("doc_hash") or entry.get("doc"), entry.get("target_hash")]
        text = json.dumps(asked, sort_keys=True, default=str)
        return Foreign(result, hashlib.sha256(text.encode()).hexdigest())

    def _model(self, date: str) -> str:
        """Return what the results beside the samples call the model, else the folder.

        lm-eval names the folder after the model.
        """
        results = self._path.with_name(f"results_{date}.json")
        try:
            with results.open("rb") as stream:
                content = stream.read(_MAX_RESULTS_BYTES + 1)
            found = json.loads(content) if len(content) <= _MAX_RESULTS_BYTES else {}
        except (OSError, ValueError, RecursionError):
            found = {}
        name = found.get("model_name") if isinstance(found, dict) else None
        return whole(str(name or self._path.resolve().parent.name))[:200]

    def _invalid(self, number: int, what: str) -> DatasetInvalid:
        return DatasetInvalid(
            f"{self._path.name} line {number} {what}",
            hint="give a samples_….jsonl that lm-eval wrote with --log_samples",
        )


def _said(entry: dict[str, Any]) -> str:
    """Return the answer: the likeliest choice, or the filtered text."""
    responses = entry.get("filtered_resps")
    if not isinstance(responses, list) or not responses:
        return ""
    if all(isinstance(one, list) and len(one) == 2 for one in responses):
        numbers = [as_number(one[0]) for one in responses]
        known = [number for number in numbers if number is not None]
        if len(known) < len(responses):
            return ""
        best = numbers.index(max(known))
        return _choice(entry.get("arguments"), best) if len(numbers) > 1 else ""
    return "\n".join(map(str, responses))


def _choice(arguments: Any, index: int) -> str:
    if isinstance(arguments, list) and index < len(arguments):
        asked = arguments[index]
        return str(asked[-1]).strip() if isinstance(asked, list) and asked else ""
    asked = arguments.get(f"gen_args_{index}") if isinstance(arguments, dict) else None
    ending = asked.get("arg_1") if isinstance(asked, dict) else None
    return str(ending).strip() if ending is not None else f"choice {index + 1}"
