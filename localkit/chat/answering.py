"""A question made ready: the prompt, what the answer must be, how to read it.

::

    prepared = prepare(session, messages, tools=tools, think=False)
    reader = prepared.reader()
    for piece in session.stream(prepared.tokens, params, images=prepared.images):
        show(reader.add(piece).text)
    answer = reader.finish("stop")
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localkit.chat.call_syntax import HERMES
from localkit.chat.families import CHANNEL_ANSWER, family_of
from localkit.chat.forcing import force_call
from localkit.chat.go.template import GoTemplate
from localkit.chat.prompt import chat_tokens, equipment
from localkit.chat.reading import Answer, AnswerReader, Reading
from localkit.chat.template import THINKING_SWITCHES
from localkit.chat.thinking import Delta
from localkit.chat.tool_prompt import describe_tools
from localkit.errors import TemplateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.call_syntax import CallSyntax
    from localkit.chat.messages import Message
    from localkit.chat.template_choice import AnyTemplate, Choice
    from localkit.chat.tools import Tool
    from localkit.runtime.params import Structure
    from localkit.runtime.protocol import Session
    from localkit.runtime.vision.images import Image

__all__ = ["Answer", "AnswerReader", "Delta", "Prepared", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question as tokens, and how to read the answer to it."""

    tokens: list[int] = field(repr=False)
    text: str = field(repr=False)
    """What the tokens spell, control tokens included."""
    template_digest: str
    template_kind: str
    """``jinja`` or ``go``."""
    structure: Structure | None
    """What the answer must look like: the rest of a call that was forced."""
    notes: tuple[str, ...]
    """What the caller should know about how the question was put."""
    reading: Reading = field(repr=False)
    images: tuple[Image, ...] = field(default=(), repr=False)
    """What the tokens show, for `Session.stream`."""

    def reader(self) -> AnswerReader:
        """Return what reads one answer; several answers need one each."""
        return AnswerReader(self.reading)


def prepare(
    session: Session,
    messages: Sequence[Message],
    *,
    tools: Sequence[Tool] = (),
    tool_choice: str = "auto",
    tool_prompt: bool = False,
    think: bool | None = None,
    structured: bool = False,
    choice: Choice | None = None,
) -> Prepared:
    """Return ``messages`` as a prompt, and how to read what follows it.

    Args:
        session: The model.
        messages: The conversation.
        tools: What the model may call.
        tool_choice: ``auto``: the model decides; ``none``: no tool is offered;
            ``required``: it must make a call; else the name of the tool to call.
        tool_prompt: Describe the tools in the system message where the template
            knows none, or it is not known how its model calls them.
        think: Whether a model that can should think; None leaves it to its template.
        structured: The answer is constrained from its first token, so that nothing
            can be thought before it.
        choice: The template in use; None: the one in the GGUF.

    Raises:
        TemplateError: the template fails or refuses; or tools cannot be given
            through it, and ``tool_prompt`` is False.
        UsageError: the options contradict each other.
    """
    offered = _offered(tools, tool_choice)
    must_call = bool(offered) and tool_choice != "auto"
    _check(structured=structured, must_call=must_call, think=think)
    at_once = structured or must_call
    template, _, doubtful = equipment(session, choice)
    family = family_of(session, template)
    syntax = family.syntax if offered else None
    shown = [tool.as_dict() for tool in offered]
    notes = [*doubtful, *_left_out(template, messages)]
    if offered or _calls(messages) or at_once or think is not None:
        template.prove(messages, shown)
    unfit = _unfit(template, syntax) if offered else ""
    if unfit and not tool_prompt:
        hint = "pass tool_prompt=True to describe them in the system message"
        raise TemplateError(unfit, hint=hint + ", or take a model made for tools")
    if unfit:
        messages, shown, syntax = describe_tools(messages, offered), [], HERMES
        notes.append(f"{unfit}: the system message describes them")
    if _calls(messages) and template.call_form() is None:
        notes.append("the template drops calls of earlier turns: it saw none of them")
    if think is not None and not template.asks_for(*THINKING_SWITCHES):
        notes.append(
            f"the template has no switch for thinking: think={think} is unused"
        )
    if at_once and (family.style or family.channels):
        notes.append("thinking is off: an answer of a fixed form begins at once")

    forced = None
    if must_call and syntax is not None:
        forced = force_call(syntax, offered, family.spelled.values())
    begins = forced.prefill if forced else ""
    if structured and family.channels:
        begins = CHANNEL_ANSWER

    def prefill(rendered: str) -> str:
        if at_once and family.style and family.style.is_open_at_end(rendered):
            return f"\n{family.style.closes}\n\n{begins}"
        return begins

    prompt = chat_tokens(
        session,
        messages,
        tools=shown,
        think=False if at_once else think,
        prefill=prefill,
        choice=choice,
    )
    style = None if at_once else family.style
    reading = Reading(
        style=style,
        inside=style is not None and style.is_open_at_end(prompt.text),
        channels=family.channels,
        syntax=syntax,
        tools=offered,
        begins=begins,
        spelled=family.spelled,
        salt=prompt.text,
    )
    return Prepared(
        tokens=prompt.tokens,
        images=prompt.images,
        text=prompt.text,
        template_digest=prompt.template_digest,
        template_kind=template.kind,
        structure=forced.structure if forced else None,
        notes=tuple(notes),
        reading=reading,
    )


def _unfit(template: AnyTemplate, syntax: CallSyntax | None) -> str:
    """Return why tools cannot be given through the template; empty if they can."""
    if not template.asks_for("tools"):
        return "the model's chat template knows no tools"
    if syntax is None:
        return "it is not known how this model calls the tools of its template"
    return ""


def _left_out(template: AnyTemplate, messages: Sequence[Message]) -> list[str]:
    """Return what a template that takes one exchange at a time cannot show."""
    if not isinstance(template, GoTemplate) or template.takes_messages:
        return []
    if not any(message.role == "tool" for message in messages):
        return []
    return ["the Go template takes no results of tools: the model saw none of them"]


def _calls(messages: Sequence[Message]) -> bool:
    return any(message.tool_calls for message in messages)


def _offered(tools: Sequence[Tool], tool_choice: str) -> tuple[Tool, ...]:
    """Return the tools that the model is told of."""
    if tool_choice in ("auto", "none"):
        return () if tool_choice == "none" else tuple(tools)
    if not tools:
        msg = f"tool_choice is '{tool_choice}' but there are no tools"
        raise UsageError(msg, hint="pass tools=[…], or leave tool_choice out")
    if tool_choice == "required":
        return tuple(tools)
    named = tuple(tool for tool in tools if tool.name == tool_choice)
    if not named:
        names = ", ".join(tool.name for tool in tools)
        msg = f"tool_choice is '{tool_choice[:64]}', which is no tool"
        raise UsageError(msg, hint=f"use auto, none, required, or one of {names}")
    return named


def _check(*, structured: bool, must_call: bool, think: bool | None) -> None:
    if structured and must_call:
        msg = "the answer must be a tool call, and of another form too"
        raise UsageError(msg, hint="leave out tool_choice, or the structure")
    if think and (structured or must_call):
        msg = "an answer of a fixed form begins at once, but think is True"
        raise UsageError(msg, hint="leave out think, or the fixed form")
