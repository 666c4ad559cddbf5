"""Results of other tools as a run, so that they are compared with our statistics."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from localkit.errors import DatasetInvalid, UsageError
from localkit.evals.running.spec import ImportSpec, digest_of
from localkit.evals.runs.database import Runs
from localkit.evals.runs.evaluation import Evaluation, read_evaluation
from localkit.evals.runs.inspect_log import InspectLog
from localkit.evals.runs.listing import find_run
from localkit.evals.runs.lm_eval_samples import LmEvalSamples
from localkit.evals.runs.record import SampleNames, TaskRecord
from localkit.evals.runs.results import name_of
from localkit.evals.runs.summary import summary_of
from localkit.evals.runs.writing import Planned, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localkit.evals.runs.database import Cell
    from localkit.evals.runs.foreign import Source

_MAX_BYTES = 8 << 30
MAX_SAMPLES = 1_000_000
SUFFIXES = (".jsonl", ".eval")


def import_runs(
    path: Path,
    files: Sequence[Path],
    *,
    metric: str | None = None,
    model: str | None = None,
) -> Evaluation:
    """Make one run of files that other tools wrote; the same files are the same run.

    Args:
        path: The results database.
        files: ``samples_….jsonl`` of lm-evaluation-harness or ``.eval`` logs of
            inspect_ai, each of one model in one task.
        metric: The metric or scorer that is the score; default: the first.
        model: What to call the model in place of what the files say.

    Raises:
        UsageError: there is no file, or one is of another kind.
        DatasetInvalid: a file does not hold what it must, or is larger than is read.
        DiskFull: there is no room; nothing of the file at hand is stored.
    """
    if not files:
        msg = "there is no file to import"
        raise UsageError(msg, hint="name samples_….jsonl files or .eval logs")
    with closing(Runs(path)) as runs:
        taken = [_take(runs, file, metric=metric, model=model) for file in files]
        planned = [part for part, _, _ in taken]
        twice = Counter((part.label, part.task.name) for part in planned)
        (label, task), count = twice.most_common(1)[0]
        if count > 1:
            msg = f"{count} of the files are of {label} in {task}"
            raise UsageError(msg, hint="import them one by one: each is a run then")
        run = open_run(
            runs,
            kind="import",
            command=" ".join(["localkit runs import", *(file.name for file in files)]),
            planned=planned,
            environment={str(i): cell.key for i, (_, cell, _) in enumerate(taken)},
        )
        for part, cell, remarks in taken:
            run.place(part.label, part.task.name, cell.key)
            for remark in remarks:
                run.say(remark)
        for stored in find_run(runs, run.id).parts:
            summary = summary_of(runs, stored)
            run.summarize(stored.label, stored.task.name, summary)
        run.finish("done")
    return read_evaluation(path, run.id)


def _take(
    runs: Runs, file: Path, *, metric: str | None, model: str | None
) -> tuple[Planned, Cell, list[str]]:
    """Store the answers of a file, all or none."""
    digest = _digest(file)
    source = _source(file, metric)
    spec = ImportSpec(source.tool, digest, f"{source.task} {metric or ''}".strip())
    cell = runs.cell("", spec, {})
    reading = _Reading(source, file)
    cell.put_many(reading.records())
    if not reading.questions:
        msg = f"{file.name} holds no samples"
        raise DatasetInvalid(msg, hint="give a file with results")
    names = SampleNames(
        ids=tuple(reading.questions), hashes=tuple(reading.questions.values())
    )
    record = TaskRecord(
        name=source.task,
        digest=f"sha256:{digest_of(sorted(reading.questions.items()))}",
        method="generate",
        scorers=tuple(reading.scorers),
        reduction=source.reduction,
        k=source.k,
        epochs=reading.n_epochs,
    )
    label = model or source.model
    part = Planned(label, label, "", record, names)
    return part, cell, source.remarks()


class _Reading:
    """The answers of a file on their way into the database."""

    def __init__(self, source: Source, file: Path) -> None:
        self._source = source
        self._file = file
        self._seen: set[str] = set()
        self.questions: dict[str, str] = {}
        self.scorers: dict[str, None] = {}
        self.n_epochs = 1

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for answer in self._source.answers():
            result = answer.result
            name = name_of(result.id, result.epoch)
            asked = self.questions.setdefault(result.id, answer.question)
            if name in self._seen or asked != answer.question:
                msg = f"{self._file.name} has sample '{result.id[:80]}' twice"
                raise DatasetInvalid(msg, hint="give a file of one model in one task")
            self._seen.add(name)
            if len(self._seen) > MAX_SAMPLES:
                msg = f"{self._file.name} has more than {MAX_SAMPLES} answers"
                raise DatasetInvalid(msg, hint="import a part of it")
            self.scorers.update(dict.fromkeys(result.scores))
            self.n_epochs = max(self.n_epochs, result.epoch + 1)
            yield name, result.model_dump(exclude_defaults=True)


def _source(file: Path, metric: str | None) -> Source:
    if file.suffix == ".jsonl":
        return LmEvalSamples(file, metric=metric)
    return InspectLog(file, metric=metric)


def _digest(file: Path) -> str:
    """Return the sha256 of a file of a kind that can be imported."""
    if file.suffix not in SUFFIXES:
        msg = f"'{file.name}' is of no kind that can be imported"
        raise UsageError(
            msg,
            hint="give a samples_….jsonl of lm-eval or a .eval log of inspect_ai",
        )
    if not file.is_file():
        msg = f"there is no file '{file}'"
        raise UsageError(msg, hint="check the path")
    if file.stat().st_size > _MAX_BYTES:
        msg = f"{file.name} is larger than {_MAX_BYTES >> 30} GiB"
        raise DatasetInvalid(msg, hint="import a part of it")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
