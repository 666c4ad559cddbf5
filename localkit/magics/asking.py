"""One cell's question: put to a model, to several, or several times."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from localkit.asking.tool_rounds import Called, Rounds
from localkit.magics.recall import Chat, Recall, kept_answers, question_of
from localkit.render.called import called_bundle
from localkit.render.slot import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.chat.messages import Message
    from localkit.chat.result import Result
    from localkit.cli.screen import AnswerView
    from localkit.history.database import History
    from localkit.kit import Kit
    from localkit.magics.answer import Format
    from localkit.magics.arguments import Call
    from localkit.magics.screen import NotebookScreen
    from localkit.model import Model
    from localkit.store import StoredModel


class Cell(NamedTuple):
    """Where a question is asked, and where its answer is shown."""

    kit: Kit
    screen: NotebookScreen
    fmt: Format
    id: str | None
    """What the front end calls the cell; None: it does not say."""


class Asking:
    """The question of one cell."""

    def __init__(self, call: Call, prompt: str, cell: Cell) -> None:
        """Keep what is asked; nothing is loaded yet."""
        self._call = call
        self._request = call.request
        self._prompt = prompt
        self._cell = cell
        self._say: Callable[[str], None] = cell.screen.aside
        if call.quiet:
            self._say = _say_nothing
        # What functions gave last time is not their answer now.
        keeps = not call.run_tools
        self._answers = kept_answers(self._history, self._say) if keeps else None

    def one(self, ref: str) -> Result:
        """Have one model answer: in a conversation, with its calls run, if asked.

        Raises:
            LocalkitError: the model or the conversation cannot be used.
        """
        call, cell = self._call, self._cell
        stored = self.resolve(ref)
        chat = Chat(
            self._history, call.chat, cell=cell.id, start=call.start, say=self._say
        )
        messages = self._messages(chat.messages)
        chat.announce()
        if call.run_tools:
            result = self._rounds(self._load(stored), messages)
        else:
            recall = self._recall(stored, messages)
            found = None if call.fresh else recall.find()
            if found is None:
                result = self._send(self._load(stored), messages)
                recall.keep(result)
            else:
                result = found
                self._view().finish(result)
        chat.add(result)
        return result

    def side_by_side(self, refs: Sequence[str]) -> list[Result]:
        """Have several models answer, one after the other, a column each.

        When one is interrupted, those after it are not asked.

        Raises:
            LocalkitError: a model cannot be used; what the others said is shown.
        """
        call, cell = self._call, self._cell
        stored = [self.resolve(ref) for ref in refs]
        messages = self._messages()
        view = cell.screen.answers(
            [str(one.ref) for one in stored],
            stream=call.stream,
            fmt=cell.fmt,
            quiet=call.quiet,
        )
        results: list[Result] = []
        try:
            for place, one in enumerate(stored):
                recall = self._recall(one, messages)
                result = None if call.fresh else recall.find()
                if result is None:
                    model = self._load(one)
                    result = self._request.send_all(
                        self._prompt,
                        messages,
                        model,
                        on_text=lambda text, at=place: view.write(at, text),  # type: ignore[misc] # a default is no argument of the caller's
                    )
                    recall.keep(result)
                results.append(result)
                view.finish(place, result)
                if result.partial:
                    break
        finally:
            view.close()
        return results

    def several(self, ref: str, n: int) -> list[Result]:
        """Have one model answer ``n`` times side by side, with seeds that count up.

        Raises:
            LocalkitError: the model cannot be used.
        """
        call, cell = self._call, self._cell
        stored = self.resolve(ref)
        messages = self._messages()
        recalls = [self._recall(stored, messages, place=place) for place in range(n)]
        found = [] if call.fresh else [recall.find() for recall in recalls]
        kept = [one for one in found if one is not None]
        view = cell.screen.answers(
            [f"{stored.ref} · {place + 1} of {n}" for place in range(n)],
            stream=call.stream,
            fmt=cell.fmt,
            quiet=call.quiet,
        )
        try:
            results = kept
            if len(kept) < n:
                answers = self._request.start(
                    self._prompt, messages, self._load(stored), n=n
                )
                for place, text in answers:
                    view.write(place, text)
                results = answers.results
                for recall, result in zip(recalls, results, strict=True):
                    recall.keep(result)
            for place, result in enumerate(results):
                view.finish(place, result, is_last=True)
        finally:
            view.close()
        return results

    def resolve(self, ref: str) -> StoredModel:
        """Return the model that ``ref`` means; not loaded."""
        with self._cell.screen.progress() as on_progress:
            return self._cell.kit.resolve(ref, on_progress=on_progress)

    def _rounds(self, model: Model, messages: Sequence[Message]) -> Result:
        """Show each answer and each call as an output of its own."""
        view = self._view()
        options = {**self._request.options, "on_text": lambda text: view.write(text)}
        rounds = Rounds(
            model,
            messages,
            options.pop("tools"),
            max_rounds=self._call.max_rounds,
            **options,
        )
        last: Result | None = None
        for step in rounds:
            if isinstance(step, Called):
                if not self._call.quiet:
                    Slot().show(called_bundle(step.call.name, step.text, step.failed))
                continue
            last = step
            view.finish(step)
            view = self._view()
        result = rounds.result
        notes = result.notes[len(last.notes) :] if last is not None else ()
        for note in notes if not self._call.quiet else ():
            self._cell.screen.remark(note)
        return result

    def _send(self, model: Model, messages: Sequence[Message]) -> Result:
        view = self._view()
        result = self._request.send_all(
            self._prompt, messages, model, on_text=view.write
        )
        if result.tool_calls:
            note = "nothing has run the calls: --run-tools does"
            result = dataclasses.replace(result, notes=(*result.notes, note))
        view.finish(result)
        return result

    def _messages(self, before: Sequence[Message] = ()) -> tuple[Message, ...]:
        if self._request.continues:
            return ()
        return self._request.conversation(self._prompt, before)

    def _history(self) -> History:
        return self._cell.kit.history

    def _recall(
        self, stored: StoredModel, messages: Sequence[Message], *, place: int = 0
    ) -> Recall:
        question = question_of(
            self._request, stored, self._prompt, messages, place=place
        )
        return Recall(self._answers, question)

    def _load(self, stored: StoredModel) -> Model:
        with self._cell.screen.progress() as on_progress:
            return self._request.load(
                stored, kit=self._cell.kit, on_progress=on_progress
            )

    def _view(self) -> AnswerView:
        return self._cell.screen.answer(
            stream=self._call.stream, fmt=self._cell.fmt, quiet=self._call.quiet
        )


def _say_nothing(_: str) -> None:
    """Show nothing: the cell is quiet."""
