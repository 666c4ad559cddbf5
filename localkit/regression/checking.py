"""One cell: its saved outputs against those of a fresh run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from localkit.regression.answers import judge_answer
from localkit.regression.figures import judge_comparison, judge_evaluation
from localkit.regression.finding import Finding, Outcome, Rules
from localkit.regression.pace import judge_pace
from localkit.regression.subjects import (
    Answered,
    Compared,
    Evaluated,
    Subject,
    is_interactive,
    subjects_of,
)

Outputs = Sequence[Mapping[str, Any]]

FAILS = "raises-exception"
"""Tag of a cell that is meant to fail."""


def check_cell(
    cell: int,
    source: str,
    saved: Outputs,
    fresh: Outputs,
    *,
    rules: Rules,
    tags: Collection[str] = (),
) -> Outcome:
    """Compare what a cell showed with what it shows now.

    Raises:
        ResultsInvalid: metadata of ours does not hold what it must.
    """
    error = error_of(fresh)
    if FAILS in tags:
        return Outcome(cell, source, tuple(_failing(error_of(saved), error)))
    if error is not None:
        return Outcome(cell, source, (Finding("changed", f"the cell failed: {error}"),))
    if is_interactive(saved):
        words = "a widget: what people did in it is not run again"
        return Outcome(cell, source, (Finding("noted", words),))
    before, after = subjects_of(saved), subjects_of(fresh)
    if not saved and after:
        words = "nothing was saved to compare with (--localkit-update saves it)"
        return Outcome(cell, source, (Finding("noted", words),))
    if [type(one) for one in before] != [type(one) for one in after]:
        words = f"the cell shows {_named(after)} where {_named(before)} was saved"
        return Outcome(cell, source, (Finding("changed", words),))
    pairs = list(zip(before, after, strict=True))
    return Outcome(
        cell,
        source,
        findings=tuple(
            finding for pair in pairs for finding in _judge(*pair, rules, tags)
        ),
        speeds=tuple(finding for pair in pairs for finding in judge_pace(*pair, rules)),
        subjects=len(pairs),
    )


def error_of(outputs: Outputs) -> str | None:
    """Return name and text of the exception that a cell ended with."""
    for output in outputs:
        if output.get("output_type") == "error":
            return f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return None


def _failing(saved: str | None, fresh: str | None) -> Iterator[Finding]:
    if fresh is None and saved is not None:
        words = f"the cell is meant to fail, as it did ({saved}), and did not"
        yield Finding("changed", words)
    elif fresh is not None and saved is not None and _kind(saved) != _kind(fresh):
        words = "the cell failed in another way"
        yield Finding("changed", words, before=saved, after=fresh)


def _kind(error: str) -> str:
    return error.partition(":")[0]


def _judge(
    saved: Subject, fresh: Subject, rules: Rules, tags: Collection[str]
) -> Iterator[Finding]:
    if isinstance(saved, Answered) and isinstance(fresh, Answered):
        yield from judge_answer(saved, fresh, rules, tags)
    elif isinstance(saved, Compared) and isinstance(fresh, Compared):
        yield from judge_comparison(saved.record, fresh.record, rules)
    elif isinstance(saved, Evaluated) and isinstance(fresh, Evaluated):
        yield from judge_evaluation(saved.record, fresh.record, rules)


def _named(subjects: Sequence[Subject]) -> str:
    words = {Answered: "answer", Compared: "comparison", Evaluated: "evaluation"}
    names = [words[type(one)] for one in subjects]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return (
        ", ".join(f"{n} {name}{'s' * (n > 1)}" for name, n in counts.items())
        or "no result"
    )
