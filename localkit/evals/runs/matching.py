"""Which parts of two runs belong together, and whether they may be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import NotComparable, UsageError
from localkit.evals.runs.listing import find_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.runs.database import Runs
    from localkit.evals.runs.listing import Part, Run
    from localkit.evals.runs.record import SampleNames


def chosen(runs: Runs, text: str) -> tuple[Run, list[Part]]:
    """Return the run that ``ID`` or ``ID/MODEL`` means, and its parts.

    Raises:
        UsageError: there is no such run or model.
    """
    id_, _, model = text.partition("/")
    run = find_run(runs, id_)
    parts = [part for part in run.parts if model in ("", part.label, part.model)]
    if not parts:
        msg = f"run {run.id} has no model '{model[:80]}'"
        raise UsageError(msg, hint=f"name one of {', '.join(run.models)}")
    return run, parts


def pairs_of(left: Sequence[Part], right: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Return the parts that belong together: of one task, and one model if several.

    Raises:
        NotComparable: there are none, or one of several models must be named.
    """
    pairs = []
    for task in dict.fromkeys(part.task.name for part in left):
        a = [part for part in left if part.task.name == task]
        b = [part for part in right if part.task.name == task]
        if len(a) == len(b) == 1:
            pairs.append((a[0], b[0]))
            continue
        by_label = {part.label: part for part in b}
        same = [(part, by_label[part.label]) for part in a if part.label in by_label]
        if b and not same:
            names = ", ".join(part.label for part in (a if len(a) > 1 else b))
            run = (a if len(a) > 1 else b)[0].run
            msg = f"several models answered {task} in run {run}: {names}"
            raise NotComparable(msg, hint=f"name one: {run}/MODEL")
        pairs += same
    if not pairs:
        theirs = ", ".join(dict.fromkeys(part.task.name for part in right))
        msg = f"the runs have no task in common: the second has {theirs}"
        raise NotComparable(msg, hint="compare runs of the same task")
    return pairs


def check(
    a: Part, b: Part, names_a: SampleNames, names_b: SampleNames, *, shared: bool
) -> None:
    """Refuse what does not measure the same.

    Raises:
        NotComparable: scoring, questions or samples differ; other samples than both
            have will do if ``shared``.
    """
    task = a.task.name
    if a.task.scoring != b.task.scoring:
        msg = f"task {task} is scored as {_scoring(a)} and as {_scoring(b)}"
        raise NotComparable(msg, hint="run one of them again with the other's scoring")
    hashes_a = dict(zip(names_a.ids, names_a.hashes, strict=False))
    hashes_b = dict(zip(names_b.ids, names_b.hashes, strict=False))
    kept = set(names_a.ids) & set(names_b.ids)
    if a.task.digest != b.task.digest:
        # Another tool's files say of each sample what it was.
        known = hashes_a and hashes_b
        other = [id_ for id_ in kept if hashes_a.get(id_) != hashes_b.get(id_)]
        if not known or other:
            what = f"{len(other)} samples differ" if known else "their digests differ"
            msg = f"the two runs asked different questions as task {task}: {what}"
            raise NotComparable(msg, hint="run the same task again for one of them")
    if (not shared and set(names_a.ids) != set(names_b.ids)) or not kept:
        msg = (
            f"the runs asked {len(names_a.ids)} and {len(names_b.ids)} samples of "
            f"{task}, {len(kept)} of them the same"
        )
        hint = "`--shared` compares those" if kept else "run the same samples"
        raise NotComparable(msg, hint=f"{hint}, or run both with the same limit")


def _scoring(part: Part) -> str:
    task = part.task
    return f"{task.metric} ({task.norm})" if task.method == "choices" else task.metric
