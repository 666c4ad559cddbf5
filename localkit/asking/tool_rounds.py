"""A conversation in which a model's calls are run, until it answers without one.

Nothing runs a function but this module, and only for who asks for it by name::

    result = run_rounds(model, "What is 17 * 23?", [multiply])
    print(result.text, len(result.messages))

What a tool returns or raises goes back to the model as text.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from localkit.chat.messages import as_messages, tool_result
from localkit.chat.tools import ToolCall, ToolLike, as_tools, keyword_arguments
from localkit.errors import UsageError
from localkit.render.text import clean

if TYPE_CHECKING:
    from localkit.chat.messages import Message, MessageLike
    from localkit.chat.result import Result

MAX_ROUNDS = 5


class Chats(Protocol):
    """What answers: a `localkit.model.Model`."""

    @property
    def chat(self) -> Callable[..., Any]:
        """Returns the answer to a conversation."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was run."""

    call: ToolCall
    text: str = field(repr=False)
    """What the model is told: the value, or what went wrong."""
    failed: bool = False
    """Whether the arguments did not fit, or the function raised."""


class Rounds:
    """Answers and calls in turn: iterate for each as it is there, then read `result`.

    Each answer is yielded as a `Result`, each call it makes, once run, as a `Called`.
    """

    def __init__(
        self,
        model: Chats,
        messages: str | MessageLike | Iterable[MessageLike],
        tools: Iterable[ToolLike],
        *,
        system: str | None = None,
        tool_choice: str = "auto",
        max_rounds: int = MAX_ROUNDS,
        **options: Any,
    ) -> None:
        """Check what is to be done; nothing is asked before it is iterated.

        Raises:
            UsageError: a tool is no function, or ``max_rounds`` is no positive number.
        """
        given = tuple(tools)
        self._tools = as_tools(given)
        self._functions: dict[str, Callable[..., object]] = {}
        for tool, function in zip(self._tools, given, strict=True):
            kind = type(function).__name__
            if inspect.iscoroutinefunction(function):
                kind = "coroutine function"
            elif callable(function):
                self._functions[tool.name] = function
                continue
            msg = f"tool '{tool.name}' is a {kind}, which cannot be run"
            raise UsageError(msg, hint="pass plain Python functions")
        if max_rounds < 1:
            msg = f"max_rounds is {max_rounds}"
            raise UsageError(msg, hint="allow at least one round of calls")
        self._model = model
        self._messages = as_messages(messages, system=system)
        self._tool_choice = tool_choice
        self._max_rounds = max_rounds
        self._options = options
        self._steps = self._run()
        self._result: Result | None = None

    def __iter__(self) -> Rounds:
        """Return itself: steps are handed out once."""
        return self

    def __next__(self) -> Result | Called:
        """Return the next answer, or the next call that was run."""
        return next(self._steps)

    @property
    def result(self) -> Result:
        """The last answer, with all messages; waits for it.

        Its figures are those of the last answer. Calls it still holds were not run: a
        note says why.
        """
        for _ in self._steps:
            pass
        if self._result is None:
            msg = "no answer came about"
            raise UsageError(msg, hint="an error was raised before: see there")
        return self._result

    def _run(self) -> Iterator[Result | Called]:
        messages: tuple[Message, ...] = self._messages
        n_calls = 0
        for n_round in range(self._max_rounds + 1):
            result: Result = self._model.chat(
                messages,
                tools=self._tools,
                # A model that had to call every time could never answer.
                tool_choice="auto" if n_round else self._tool_choice,
                **self._options,
            )
            self._result = result
            yield result
            if result.finish_reason != "tool_calls":
                if n_calls:
                    self._note(_summary(n_calls, n_round))
                return
            if n_round == self._max_rounds:
                self._note(
                    f"stopped after {_count(n_round, 'round')} of calls: the last were "
                    "not run; allow more with max_rounds"
                )
                return
            messages = result.messages
            for call in result.tool_calls:
                try:
                    called = self._call(call)
                except KeyboardInterrupt:
                    self._result = dataclasses.replace(
                        result, messages=messages, finish_reason="interrupted"
                    )
                    self._note(f"{call.name} was stopped while it ran")
                    return
                n_calls += 1
                messages = (*messages, tool_result(call, called.text))
                yield called

    def _call(self, call: ToolCall) -> Called:
        """Run a call whose arguments fit; never raises what the function does."""
        function = self._functions.get(call.name)
        if function is None:
            names = ", ".join(self._functions)
            return _failed(call, f"there is no tool '{call.name}', only {names}")
        try:
            arguments = keyword_arguments(function, call.arguments)
        except UsageError as error:
            return _failed(call, error.one_line())
        try:
            return Called(call, as_text(function(**arguments)))
        except Exception as error:  # the user's function: the model is told
            return _failed(call, f"{type(error).__name__}: {error}")

    def _note(self, text: str) -> None:
        if self._result is not None:
            notes = (*self._result.notes, text)
            self._result = dataclasses.replace(self._result, notes=notes)


def run_rounds(
    model: Chats,
    messages: str | MessageLike | Iterable[MessageLike],
    tools: Iterable[ToolLike],
    *,
    system: str | None = None,
    tool_choice: str = "auto",
    max_rounds: int = MAX_ROUNDS,
    on_step: Callable[[Result | Called], None] | None = None,
    **options: Any,
) -> Result:
    """Answer a conversation, running the calls that the model makes.

    Args:
        model: Who answers.
        messages: What the user says, or a whole conversation.
        tools: Python functions; their arguments are checked against their
            annotations before a call, and converted.
        system: Instructions to put first.
        tool_choice: ``required`` or a tool's name: what the first answer must be.
        max_rounds: How often the model may ask for calls.
        on_step: Called with every answer, and every call that was run.
        options: As `localkit.model.Model.chat` takes them.

    Returns:
        The last answer; its `messages` hold every call and result.

    Raises:
        UsageError: a tool is no function, or ``max_rounds`` is no positive number.
    """
    rounds = Rounds(
        model,
        messages,
        tools,
        system=system,
        tool_choice=tool_choice,
        max_rounds=max_rounds,
        **options,
    )
    for step in rounds:
        if on_step is not None:
            on_step(step)
    return rounds.result


def as_text(value: object) -> str:
    """Return what a tool gave, as a model reads it: texts as they are, else JSON."""
    if isinstance(value, str):
        return clean(value)
    dumped = getattr(value, "model_dump", None)
    if callable(dumped):
        value = dumped(mode="json")
    if isinstance(value, Mapping):
        value = dict(value)
    try:
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError):
        return clean(str(value))


def _failed(call: ToolCall, why: str) -> Called:
    return Called(call, clean(f"error: {why}"), failed=True)


def _summary(n_calls: int, n_rounds: int) -> str:
    calls = f"{_count(n_calls, 'call')} run in {_count(n_rounds, 'round')}"
    return f"{calls}; the figures are the last answer's"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
