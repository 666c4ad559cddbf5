"""Speed and memory against the saved run, as ratios; a failure only where asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.regression.finding import Finding, Rules
from localkit.regression.subjects import Answered, Compared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.regression.records import AnswerRecord, Probe
    from localkit.regression.subjects import Subject

_LEAST_TOKENS = 16
"""A phase of fewer tokens is over before its speed means anything."""


def judge_pace(saved: Subject, fresh: Subject, rules: Rules) -> Iterator[Finding]:
    """Yield a line a phase: fresh over saved, corrected by the calibration."""
    if isinstance(saved, Answered) and isinstance(fresh, Answered):
        one, other = saved.record, fresh.record
        decode = (_rate(one, "decode"), _rate(other, "decode"))
        prefill = (_rate(one, "prefill"), _rate(other, "prefill"))
        yield from _speeds("", prefill, decode, saved.probe, fresh.probe, rules)
    elif isinstance(saved, Compared) and isinstance(fresh, Compared):
        yield from _of_comparison(saved, fresh, rules)


def _of_comparison(saved: Compared, fresh: Compared, rules: Rules) -> Iterator[Finding]:
    now = {row.label: row for row in fresh.record.rows}
    for row in saved.record.rows:
        other = now.get(row.label)
        if other is None:
            continue
        label = f"{row.label}: "
        if row.speed and other.speed:
            prefill = row.speed.prefill.median, other.speed.prefill.median
            decode = row.speed.decode.median, other.speed.decode.median
            yield from _speeds(label, prefill, decode, saved.probe, fresh.probe, rules)
        if row.memory and other.memory and row.memory.total:
            ratio = other.memory.total / row.memory.total
            failed = rules.perf is not None and ratio > 1 / rules.perf
            yield _finding(f"{label}memory {ratio:.2f} × the saved", failed, rules)


def _speeds(
    label: str,
    prefill: tuple[float | None, float | None],
    decode: tuple[float | None, float | None],
    before: Probe | None,
    after: Probe | None,
    rules: Rules,
) -> Iterator[Finding]:
    machine = {"prefill": 1.0, "decode": 1.0}
    if before and after:
        machine["prefill"] = after.matmul_per_s / before.matmul_per_s
        machine["decode"] = after.copy_per_s / before.copy_per_s
    for phase, (was, now) in (("prefill", prefill), ("decode", decode)):
        if not was or not now:
            continue
        words = f"{label}{phase} {was:.1f} → {now:.1f} tok/s"
        if not (before and after):
            yield Finding("noted", f"{words} (no calibration: --localkit-update)")
            continue
        ratio = now / was / machine[phase]
        words = f"{words}, {ratio:.2f} × the saved on a machine "
        words += f"{machine[phase]:.2f} × as fast"
        failed = rules.perf is not None and ratio < rules.perf
        yield _finding(words, failed, rules)


def _finding(words: str, failed: bool, rules: Rules) -> Finding:
    if failed:
        return Finding("changed", f"{words}; --localkit-perf is {rules.perf:g}")
    return Finding("noted", words)


def _rate(record: AnswerRecord, phase: str) -> float | None:
    """Return the speed of a phase; None where too little was computed."""
    if phase == "decode":
        enough = record.n_generated >= _LEAST_TOKENS
        return record.decode_per_s if enough else None
    enough = record.n_prompt - record.n_reused >= _LEAST_TOKENS
    return record.prefill_per_s if enough else None
