"""``.eval`` logs of inspect_ai: a zip of JSON files, compressed by zstandard.

``header.json`` names task and model, ``summaries.json`` has one entry a sample and
epoch with its scores. A log that was not ended has ``_journal/start.json`` and
``_journal/summaries/N.json`` instead. Transcripts (``samples/``) are not read.
Source: inspect_ai 0.3.285, log/_recorders/eval.py and log/_log.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid
from localkit.evals.running.asking import short, whole
from localkit.evals.running.result import SampleResult
from localkit.evals.runs.foreign import Foreign, as_number
from localkit.evals.runs.zipped import Zipped
from localkit.evals.scorers.protocol import Score

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.evals.tasks.kinds import Reduction

_JOURNAL = re.compile(r"_journal/summaries/(\d{1,9})\.json")
_REDUCERS: dict[str, Reduction] = {"pass_at": "pass@k", "pass": "pass^k"}
_REDUCER = re.compile(r"(pass_at|pass)_(\d{1,3})")
_MAX_ANSWER = 100_000


class InspectLog:
    """One log; implements `Source`."""

    tool = "inspect"

    def __init__(self, path: Path, *, metric: str | None = None) -> None:
        """Read who was asked what; ``metric`` is the scorer to put first.

        Raises:
            DatasetInvalid: it is no log, or larger than is read.
            UsageError: zstandard is not installed.
        """
        self._path = path
        self._metric = metric
        with Zipped(path) as log:
            names = log.names()
            start = "header.json" if "header.json" in names else "_journal/start.json"
            header = log.json(start) if start in names else None
        header = header if isinstance(header, dict) else {}
        spec = header.get("eval")
        if not isinstance(spec, dict):
            raise self._invalid("names no task and model")
        self.task = whole(str(spec.get("task") or "task"))[:200]
        self.model = whole(str(spec.get("model") or "model"))[:200]
        self.reduction, self.k = _reduction(spec)
        self._ended = str(header.get("status") or "without saying so")[:40]

    def answers(self) -> Iterator[Foreign]:
        """Yield the answers, those that a later attempt replaced left out."""
        latest: dict[tuple[str, int], dict[str, Any]] = {}
        for entry in self._entries():
            if not isinstance(entry, dict) or "id" not in entry:
                raise self._invalid("holds a summary that is of no sample")
            epoch = entry.get("epoch")
            if not isinstance(epoch, int) or not 1 <= epoch <= 10_000:
                raise self._invalid(f"has a sample in epoch {str(epoch)[:20]}")
            latest[str(entry["id"]), epoch] = entry
        for (id_, epoch), entry in latest.items():
            yield self._answer(whole(id_), epoch - 1, entry)

    def remarks(self) -> list[str]:
        """Return how the run ended, if not well."""
        if self._ended == "success":
            return []
        return [f"{self.task}: the log ended as '{self._ended}'; it may lack samples."]

    def _entries(self) -> list[Any]:
        with Zipped(self._path) as log:
            names = log.names()
            if "summaries.json" in names:
                files = ["summaries.json"]
            else:
                found = filter(None, map(_JOURNAL.fullmatch, names))
                files = [one[0] for one in sorted(found, key=lambda one: int(one[1]))]
            lists = [log.json(name) for name in files]
        if not all(isinstance(one, list) for one in lists):
            raise self._invalid("holds summaries that are no list")
        return [entry for entries in lists for entry in entries]

    def _answer(self, id_: str, epoch: int, entry: dict[str, Any]) -> Foreign:
        scores, said = {}, ""
        given = entry.get("scores")
        for name, score in given.items() if isinstance(given, dict) else ():
            if not isinstance(score, dict):
                raise self._invalid(f"has a score '{name[:80]}' that is none")
            for key, one in _flat(name, score.get("value")):
                value = as_number(one)
                why = score.get("explanation") or ""
                if value is None:
                    why = f"its value is no number: {short(str(one))[:80]}"
                text = whole(str(score.get("answer") or ""))
                said = said or text
                scores[whole(key)] = Score(
                    value=value, extracted=text[:_MAX_ANSWER], why=short(str(why))
                )
        ordered = sorted(scores, key=lambda name: name != self._metric)
        if scores and self._metric and self._metric not in scores:
            raise self._invalid(f"has no scorer '{self._metric[:80]}'")
        error = entry.get("error")
        unscored = None if scores else "it has no score"
        result = SampleResult(
            id=id_,
            epoch=epoch,
            answer=said[:_MAX_ANSWER],
            scores={name: scores[name] for name in ordered},
            unscored=short(f"failed: {error}") if error else unscored,
        )
        asked = [entry.get("input"), entry.get("choices"), entry.get("target")]
        text = json.dumps(_without_ids(asked), sort_keys=True, default=str)
        return Foreign(result, hashlib.sha256(text.encode()).hexdigest())

    def _invalid(self, what: str) -> DatasetInvalid:
        return DatasetInvalid(
            f"{self._path.name} {what}", hint="give a .eval log of inspect_ai"
        )


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the values of a score, one each where it has several."""
    if isinstance(value, dict):
        return [(f"{name}/{key}", one) for key, one in value.items()]
    return [(name, value)]


def _without_ids(value: Any) -> Any:
    """Return messages without the random names that each run gives them."""
    if isinstance(value, list):
        return [_without_ids(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_ids(one) for key, one in value.items() if key != "id"}
    return value


def _reduction(spec: dict[str, Any]) -> tuple[Reduction, int]:
    """Return how the epochs of a sample are put together; the mean if unsaid."""
    config = spec.get("config")
    reducers = config.get("epochs_reducer") if isinstance(config, dict) else None
    named = reducers[0] if isinstance(reducers, list) and reducers else ""
    found = _REDUCER.fullmatch(str(named))
    if found is None or not int(found[2]):
        return "mean", 1
    return _REDUCERS[found[1]], int(found[2])
