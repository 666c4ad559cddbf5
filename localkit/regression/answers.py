"""One answer against its saved self: the exact text where that is owed, else bands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from localkit.regression.conditions import determined, differing
from localkit.regression.finding import Finding, Rules
from localkit.regression.form import fault_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from localkit.regression.conditions import Condition
    from localkit.regression.subjects import Answered

EXACT = "localkit-exact"
BAND = "localkit-band"
"""Tags of a cell: hold it to the exact text, or judge it by the bands alone."""

_STOPPED = ("interrupted", "error")


def judge_answer(
    saved: Answered, fresh: Answered, rules: Rules, tags: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield what differs, what it means, and whether it is a failure."""
    for one, when in ((saved, "saved"), (fresh, "fresh")):
        if one.record.finish_reason in _STOPPED:
            words = f"the {when} answer ended as '{one.record.finish_reason}'"
            yield Finding("noted" if when == "saved" else "changed", words)
            return
    conditions = differing(saved.record, fresh.record)
    of_model = [one for one in conditions if one.kind == "model"]
    if rules.allow_change:
        yield from (Finding("noted", f"{one} (allowed)") for one in of_model)
    else:
        yield from (Finding("changed", str(one)) for one in of_model)
    others = [one for one in conditions if one.kind != "model"]
    if others:
        yield Finding("noted", "; ".join(map(str, others)))
    if saved.text is None or fresh.text is None:
        yield Finding("same", "the same receipt; its text is with the first answer's")
        return
    yield _judge_text(saved, fresh, conditions, rules, tags)


def _judge_text(
    saved: Answered,
    fresh: Answered,
    conditions: list[Condition],
    rules: Rules,
    tags: Collection[str],
) -> Finding:
    before, after = saved.text or "", fresh.text or ""
    if before == after:
        return Finding("same", "the same text")
    pair = {"before": before, "after": after}
    where = _where(before, after)
    if EXACT in tags:
        words = f"{where}; the cell is tagged {EXACT}"
        return Finding("changed", words, **pair)
    fixed = determined(saved.record.receipt, fresh.record.receipt)
    if fixed and not conditions and BAND not in tags:
        words = f"{where}, though nothing that it was made with changed"
        return Finding("changed", words, **pair)
    structure = fresh.record.receipt.params.get("structure")
    kind = ""
    if isinstance(structure, Mapping):
        kind = str(structure.get("kind", ""))
        fault = fault_of(after, kind, str(structure.get("text", "")))
        if fault:
            return Finding("changed", f"the answer has not its form: {fault}", **pair)
    if not fixed and BAND not in tags:
        words = f"{where}; sampled with another seed, so only its form was judged"
        return Finding("noted", words, **pair)
    if kind == "choice":
        words = f"another choice: {_short(before)} → {_short(after)}"
        return Finding("changed", words, **pair)
    alike = similarity(before, after)
    words = f"{where}; similarity {alike:.2f} (chrF), at least {rules.similarity:g}"
    if alike >= rules.similarity:
        return Finding("within", words, **pair)
    return Finding("changed", words, **pair)


def similarity(before: str, after: str) -> float:
    """Return the chrF of two texts, 0 to 1: n-grams of characters that they share.

    sacrebleu's `sentence_chrf` with its defaults (characters up to 6-grams, beta 2).
    """
    from sacrebleu.metrics.chrf import CHRF

    if not before.strip() or not after.strip():
        return float(before.strip() == after.strip())
    return float(CHRF().sentence_score(after, [before]).score) / 100


def first_difference(before: str, after: str) -> tuple[int, str, str]:
    """Return the number of the first word that differs, and both words there.

    A text that ends there has "" for its word; texts that differ in blanks alone
    give number 0.
    """
    ours, theirs = before.split(), after.split()
    for index in range(max(len(ours), len(theirs))):
        one = ours[index] if index < len(ours) else ""
        other = theirs[index] if index < len(theirs) else ""
        if one != other:
            return index + 1, one, other
    return 0, "", ""


def _where(before: str, after: str) -> str:
    number, one, other = first_difference(before, after)
    if not number:
        return "the text changed in its blanks"
    return f"the text changed from word {number}: {_short(one)} → {_short(other)}"


def _short(word: str) -> str:
    if not word:
        return "(end)"
    return json.dumps(word if len(word) <= 40 else word[:39] + "…", ensure_ascii=False)
