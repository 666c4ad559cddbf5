"""One question per row of a table, asked side by side, answered in order."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from localkit.asking.asker import Manner
from localkit.asking.defaults import opened
from localkit.asking.many import SideBySide
from localkit.asking.resume import Answers, answer_keys
from localkit.asking.rows import Template, as_table
from localkit.asking.watching import watched
from localkit.chat.messages import as_messages
from localkit.chat.receipt import make_receipt
from localkit.chat.template_choice import choice_of
from localkit.errors import (
    AdapterInvalid,
    GrammarInvalid,
    LocalkitError,
    RuntimeForked,
    SessionClosed,
    TemplateError,
    Unsupported,
    UsageError,
)
from localkit.events import Progress
from localkit.runtime.pool.pooled import use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    import pandas as pd

    from localkit.asking.asker import Asker
    from localkit.asking.many import OnText, Outcome, Work
    from localkit.asking.options import Asked, Options
    from localkit.asking.rows import Rows, Table
    from localkit.chat.result import Result
    from localkit.events import CancelToken, OnProgress
    from localkit.runtime.protocol import Session
    from localkit.store import StoredModel

_FIGURES = ("finish_reason", "n_prompt", "n_generated", "decode_per_s", "note", "error")
# What fails for one row of these fails for all.
_FATAL = (AdapterInvalid, GrammarInvalid, RuntimeForked, SessionClosed, Unsupported)

Answer = dict[str, Any]
"""A row's new columns, ready for JSON."""


class Askable(Protocol):
    """What this method of `localkit.model.Model` needs of it."""

    stored: StoredModel
    session: Session
    asker: Asker


def map_rows(
    self: Askable,
    inputs: Rows,
    template: str,
    *,
    chat: bool = True,
    system: str | None = None,
    think: bool | None = None,
    into: str = "answer",
    resume: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Ask once per row, side by side; return the rows in order with the answers.

    ``model.map(frame, "Summarise: {text}", resume="summaries.db")``

    Args:
        self: The model.
        inputs: A DataFrame, a `datasets.Dataset`, or a list of mappings.
        template: What to say, columns in braces (``{{`` is a brace).
        chat: Through the chat template; False continues the text as it is.
        system: Instructions to put first.
        think: As for `chat`.
        into: Column that the answer goes into.
        resume: File that keeps answers as they come; those it has are taken
            from it, where row, params and model are the same.
        on_progress: Told of each row; None: a line where someone can watch.
        options: As for `chat`; ``priority`` is ``bulk`` unless said otherwise.

    Returns:
        The inputs' columns and index, then the answer, ``finish_reason``,
        ``n_prompt``, ``n_generated``, ``decode_per_s``, ``note`` and ``error``.
        A row that fails has its error there and loses nobody else's answer; a
        row that was stopped has the finish reason ``interrupted``.

    Raises:
        UsageError: the template names what is no column, or a column's name is
            taken.
        TemplateError: the model has no chat template.
        ResultsInvalid: ``resume`` is a file of something else.
    """
    asked = self.asker.asked(options, priority="bulk")
    manner = Manner(system=system, think=think)
    table = as_table(inputs)
    _refuse_collisions(table, into)
    filled = _fill(table, Template(template, table.frame.columns))
    choice = choice_of(self.stored) if chat else None
    if chat and choice is None:
        msg = f"{self.session.info.name} has no chat template"
        raise TemplateError(msg, hint="pass chat=False to continue the text as it is")
    setup: dict[str, Any] = {"chat": chat, "system": system, "think": think}
    if chat and (self.stored.system or self.stored.messages):
        messages = [dict(one) for one in self.stored.messages]
        setup["opening"] = [self.stored.system, messages]
    if choice is not None and choice.kind == "go":
        setup["template"] = choice.template().digest
    keys = _keys(filled, _all(setup, self.stored, self.session, asked))
    answers: list[Answer] = [
        {} if isinstance(text, str) else _failed(text) for text in filled
    ]

    def work_of(text: str) -> Work[Result | None]:
        def work(token: CancelToken, _: OnText) -> Result | None:
            if token.cancelled:
                return None
            asker = self.asker
            question = asker.chat(text, manner, asked) if chat else asker.raw(text)
            return asker.one(question, asked, token).wait()

        return work

    with (
        closing(Answers(Path(resume))) if resume else nullcontext() as kept,
        watched(on_progress) as report,
        use(self.session),
    ):
        if kept is not None:
            for index, key in keys.items():
                answers[index] = kept.get(key) or {}
        todo = [index for index, answer in enumerate(answers) if not answer]
        n_done = len(answers) - len(todo)
        report(Progress("mapping", n_done, len(answers), "rows"))

        def take(place: int) -> None:
            nonlocal n_done
            index, outcome = todo[place], asked_for.outcomes[place]
            if answers[index] or outcome is None:
                return
            answer = _answer(outcome)
            if kept is not None and _is_whole(answer):
                kept.put(keys[index], answer)
            answers[index] = answer
            n_done += 1
            report(Progress("mapping", n_done, len(answers), "rows"))

        works = [work_of(str(filled[index])) for index in todo]
        cancel = options.get("cancel")
        with closing(SideBySide(works, self.session, cancel=cancel)) as asked_for:
            while True:
                try:
                    for event in asked_for:
                        if isinstance(event, int):
                            take(event)
                    break
                except KeyboardInterrupt:
                    asked_for.stop()
            # What ended while Ctrl-C was looked after.
            for place in range(len(todo)):
                take(place)
    frame = _framed(table, answers, into)
    receipt = make_receipt(
        self.stored,
        self.session,
        asked.sampling,
        serve=asked.serve,
        of_model=(*_opening(self.stored, system, chat=chat), *asked.of_model),
    )
    frame.attrs["localkit"] = receipt.as_dict()
    return frame


def _opening(stored: StoredModel, system: str | None, *, chat: bool) -> tuple[str, ...]:
    """Return what the model puts before each row."""
    if not chat:
        return ()
    return opened(stored, as_messages("", system=system)).of_model


def _fill(table: Table, template: Template) -> list[str | UsageError]:
    """Return each row's text, or why it has none."""
    filled: list[str | UsageError] = []
    for row in table.rows:
        try:
            filled.append(template.fill(row))
        except UsageError as error:
            filled.append(error)
    return filled


def _keys(
    filled: Sequence[str | UsageError], setup: Mapping[str, Any]
) -> dict[int, str]:
    """Return the key of each row that has a text."""
    texts = {i: text for i, text in enumerate(filled) if isinstance(text, str)}
    return dict(zip(texts, answer_keys(list(texts.values()), setup), strict=True))


def _failed(error: LocalkitError) -> Answer:
    return {"finish_reason": "error", "error": error.one_line()}


def _answer(outcome: Outcome[Result | None]) -> Answer:
    result, error = outcome
    if error is not None:
        if isinstance(error, _FATAL) or not isinstance(error, LocalkitError):
            raise error
        return _failed(error)
    if result is None:
        return {"finish_reason": "interrupted"}
    speed = result.timings.decode_per_s(result.usage)
    return {
        "text": result.text,
        "finish_reason": result.finish_reason,
        "n_prompt": result.usage.n_prompt,
        "n_generated": result.usage.n_generated,
        "decode_per_s": speed if math.isfinite(speed) else None,
        "note": result.note,
    }


def _is_whole(answer: Answer) -> bool:
    """Whether an answer need not be asked for again."""
    return answer["finish_reason"] not in ("error", "interrupted")


def _all(
    setup: dict[str, Any], stored: StoredModel, session: Session, asked: Asked
) -> dict[str, Any]:
    """Return everything that an answer depends on, besides the row."""
    template = (session.info.chat_template or "").encode()
    adapters = [
        (str(one.path), one.scale, one.path.stat().st_size if one.path.exists() else 0)
        for one in asked.serve.adapters
    ]
    return {
        **setup,
        "weights": stored.weights_digest,
        "template": hashlib.sha256(template).hexdigest(),
        "sampling": dataclasses.asdict(asked.sampling),
        "adapters": adapters,
        "context_shift": asked.serve.context_shift,
        "n_ctx": session.n_ctx if asked.serve.context_shift else None,
    }


def _refuse_collisions(table: Table, into: str) -> None:
    there = {str(name) for name in table.frame.columns}
    taken = sorted(there & {into, *_FIGURES})
    if taken:
        msg = f"the inputs have a column '{taken[0]}' already"
        hint = "name another with into=" if taken[0] == into else "rename it"
        raise UsageError(msg, hint=hint)


def _framed(table: Table, answers: list[Answer], into: str) -> pd.DataFrame:
    import pandas as pd

    def column(name: str) -> list[Any]:
        return [answer.get(name) for answer in answers]

    frame = table.frame
    frame[into] = pd.array(column("text"), dtype="str")
    frame["finish_reason"] = pd.array(column("finish_reason"), dtype="str")
    frame["n_prompt"] = pd.array(column("n_prompt"), dtype="Int64")
    frame["n_generated"] = pd.array(column("n_generated"), dtype="Int64")
    speeds = [math.nan if one is None else one for one in column("decode_per_s")]
    frame["decode_per_s"] = pd.array(speeds, dtype="float64")
    frame["note"] = pd.array([one or "" for one in column("note")], dtype="str")
    frame["error"] = pd.array(column("error"), dtype="str")
    return frame
