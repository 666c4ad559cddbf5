"""What can be compared in the outputs of a cell: answers, comparisons, scores."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from localkit.errors import ResultsInvalid
from localkit.regression.records import (
    AnswerRecord,
    ComparisonRecord,
    EvaluationRecord,
    Probe,
)

M = TypeVar("M", bound=BaseModel)

WIDGET = "application/vnd.jupyter.widget-view+json"
PROBE = "calibration"
"""Key in an output's metadata of how fast the machine was."""

_MAX_DEPTH = 8
# Above each answer of several, see `render.columns`.
_COLUMN = re.compile(r"^── .* ──$", re.M)
_THOUGHT = re.compile(r"\A\[thinking\]\n.*?\n\[answer\]\n", re.S)


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, and the text that the output shows of it."""

    text: str | None
    """None where the first answer of the output stands for all of them."""
    record: AnswerRecord
    probe: Probe | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The figures of a comparison."""

    record: ComparisonRecord
    probe: Probe | None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The scores of an evaluation."""

    record: EvaluationRecord
    probe: Probe | None


Subject = Answered | Compared | Evaluated


def subjects_of(outputs: Sequence[Mapping[str, Any]]) -> list[Subject]:
    """Return what can be compared, in the order it is shown.

    Raises:
        ResultsInvalid: metadata of ours does not hold what it must.
    """
    return [subject for output in outputs for subject in _subjects(output)]


def is_interactive(outputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a widget was shown: what people did in it cannot be run again."""
    return any(WIDGET in _data(output) for output in outputs)


def shown_text(output: Mapping[str, Any]) -> str:
    """Return what the output shows as plain text."""
    return _joined(_data(output).get("text/plain", ""))


def _subjects(output: Mapping[str, Any]) -> Iterator[Subject]:
    metadata = output.get("metadata")
    ours = metadata.get("localkit") if isinstance(metadata, Mapping) else None
    if not isinstance(ours, Mapping):
        return
    probe = _read(Probe, ours[PROBE]) if PROBE in ours else None
    if isinstance(ours.get("comparison"), Mapping):
        yield Compared(_read(ComparisonRecord, ours["comparison"]), probe)
        return
    if isinstance(ours.get("evaluation"), Mapping):
        yield Evaluated(_read(EvaluationRecord, ours["evaluation"]), probe)
        return
    records = [_read(AnswerRecord, one) for one in _with_receipt(ours)]
    texts = _texts(shown_text(output), len(records))
    for record, text in zip(records, texts, strict=True):
        if record.text is not None:
            yield Answered(record.text, record, probe)
        else:
            said = None if text is None else _answer_text(text, record)
            yield Answered(said, record, probe)


def _with_receipt(value: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield every mapping that holds a receipt, wherever it stands."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        if isinstance(value.get("receipt"), Mapping):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _with_receipt(one, depth + 1)


def _texts(shown: str, count: int) -> list[str | None]:
    """Return what an output shows of each of its answers.

    Where they cannot be told apart, the first stands for all: nothing that is shown
    is left out.
    """
    if count > 1:
        columns = _COLUMN.split(shown)[1:]
        if len(columns) == count:
            return [one.strip("\n") for one in columns]
    return [shown, *[None] * (count - 1)] if count else []


def _answer_text(shown: str, record: AnswerRecord) -> str:
    """Return the answer without what `Result.bundle` writes around it."""
    text = _THOUGHT.sub("", shown)
    return text.removesuffix(f"\n[{record.note}]") if record.note else text


def _read(kind: type[M], value: object) -> M:
    try:
        return kind.model_validate(value)
    except (ValidationError, RecursionError) as error:
        first = ""
        if isinstance(error, ValidationError):
            one = error.errors()[0]
            first = f": {'.'.join(map(str, one['loc']))}: {one['msg'].lower()}"
        msg = f"the metadata of an output is no {kind.__name__}{first}"
        raise ResultsInvalid(
            msg, hint="run the cell again and save the notebook"
        ) from None


def _data(output: Mapping[str, Any]) -> Mapping[str, Any]:
    data = output.get("data")
    return data if isinstance(data, Mapping) else {}


def _joined(text: object) -> str:
    """Return a text that the notebook format may have split into lines."""
    if isinstance(text, list):
        return "".join(map(str, text))
    return text if isinstance(text, str) else ""
