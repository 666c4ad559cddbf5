"""A model's own chat template: messages to the text that the model was trained on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jinja2 import TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables

from localkit.chat.budget import OverBudget, open_budget
from localkit.chat.sandbox import ChatSandbox, Refused
from localkit.chat.template_calls import CallForm, find_call_form, template_message
from localkit.chat.template_proof import is_proved, keep_proof, render_in_child
from localkit.chat.texts import texts_in
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from jinja2 import Template

    from localkit.chat.messages import Message

MAX_TEMPLATE_CHARS = 1 << 20
MAX_OUTPUT_CHARS = 1 << 20
"""Most characters that a template may add to what the messages hold."""
THINKING_SWITCHES = ("enable_thinking", "thinking")
"""Names by which templates ask whether the model should think."""


class ChatTemplate:
    """A template, with the texts of the tokens that it may write.

    One that nobody knows is compiled and rendered in a limited child process first,
    with the very messages it is asked to render. What withstood that is rendered in
    this process from then on, within a budget.
    """

    kind = "jinja"
    __slots__ = ("_call_form", "bos_token", "digest", "eos_token", "source")

    def __init__(
        self, source: str | None, bos_token: str = "", eos_token: str = ""
    ) -> None:
        """Keep the template; nothing of it runs yet.

        Raises:
            TemplateError: there is none, or it is too long to be one.
        """
        if not source:
            msg = "the model carries no chat template"
            hint = "call generate(prompt) for raw text, or take a model made for chat"
            raise TemplateError(msg, hint=hint)
        if len(source) > MAX_TEMPLATE_CHARS:
            msg = f"the chat template has {len(source):,} characters"
            raise TemplateError(msg, hint=_HINT)
        self.source = source
        self.digest = "sha256:" + hashlib.sha256(source.encode()).hexdigest()
        """Digest of the source, for receipts."""
        self.bos_token = bos_token
        self.eos_token = eos_token
        self._call_form: CallForm | Literal["unknown"] | None = "unknown"

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
        think: bool | None = None,
    ) -> str:
        """Return the conversation as text, control tokens spelled out.

        Args:
            messages: The conversation.
            add_generation_prompt: End with what begins the model's answer.
            tools: Tools as the OpenAI API has them.
            think: What to tell a template that asks; None tells it nothing.

        Raises:
            TemplateError: the template is broken, refuses the messages, fails, or
                asks for more work, memory or output than a chat template needs.
                Names its line.
        """
        options: dict[str, Any] = {
            "add_generation_prompt": add_generation_prompt,
            "tools": list(tools),
            "think": think,
        }
        if is_proved(self.digest):
            return self.render_here(messages, **options)
        text = render_in_child(self, messages, options)
        keep_proof(self.digest)
        return text

    def render_here(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
        think: bool | None = None,
    ) -> str:
        """Render in this process; otherwise as `render`."""
        calls = any(message.tool_calls for message in messages)
        form = (self.call_form() if calls else None) or CallForm()
        values = [template_message(message, form) for message in messages]
        switches = {} if think is None else dict.fromkeys(THINKING_SWITCHES, think)
        return self._render_values(
            values,
            add_generation_prompt=add_generation_prompt,
            # Templates ask `tools is not none`: undefined would count as given.
            tools=list(tools) or None,
            **switches,
        )

    def prove(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Render in a child if that was never done, so that the rest may be here.

        Raises:
            TemplateError: as `render`.
        """
        if not is_proved(self.digest):
            self.render(messages, tools=tools)

    def asks_for(self, *names: str) -> bool:
        """Return whether the template uses one of these variables; `prove` it first."""
        return not _compile(self.source).variables.isdisjoint(names)

    def call_form(self) -> CallForm | None:
        """Return how the template wants calls; None if it drops them. `prove` first."""
        if self._call_form == "unknown":
            self._call_form = find_call_form(self._render_values)
        return self._call_form

    def _render_values(
        self, messages: Sequence[Mapping[str, Any]], **values: Any
    ) -> str:
        given = sum(map(len, texts_in([messages, values.get("tools")])))
        compiled = _compile(self.source).template
        budget = open_budget(given)
        room = MAX_OUTPUT_CHARS + given
        chunks: list[str] = []
        try:
            for chunk in compiled.generate(
                messages=messages,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
                documents=None,
                **values,
            ):
                budget.charge(len(chunk))
                room -= len(chunk)
                chunks.append(chunk)
                if room < 0:
                    msg = f"it writes more than {MAX_OUTPUT_CHARS:,} characters"
                    raise OverBudget(msg)
        except Refused as refusal:
            msg = f"the chat template refuses these messages: {_cut(refusal)}"
            hint = "change the roles or their order as it says"
            raise TemplateError(msg, hint=hint) from refusal
        except SecurityError as error:
            msg = f"the chat template is not safe to render: {error}{_line(error)}"
            raise TemplateError(msg, hint=_HINT) from error
        except Exception as error:  # a template can raise whatever Python can
            msg = f"the chat template fails: {_reason(error)}{_line(error)}"
            raise TemplateError(msg, hint=_HINT) from error
        return "".join(chunks)


_HINT = "call generate(prompt) for raw text, or use another build of the model"
_FILE_NAME = "<template>"


class _Compiled(NamedTuple):
    template: Template
    variables: frozenset[str]
    """Names that the template looks up and does not always set itself."""


@lru_cache(maxsize=16)
def _compile(source: str) -> _Compiled:
    environment = ChatSandbox()
    try:
        variables = frozenset(find_undeclared_variables(environment.parse(source)))
        return _Compiled(environment.from_string(source), variables)
    except TemplateSyntaxError as error:
        msg = f"the chat template does not parse: {error.message} (line {error.lineno})"
        raise TemplateError(msg, hint=_HINT) from error
    except Exception as error:
        # RecursionError and MemoryError too: deep nesting ends in the parser.
        msg = f"the chat template does not compile: {_reason(error)}"
        raise TemplateError(msg, hint=_HINT) from error


def _reason(error: Exception) -> str:
    text = _cut(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _cut(error: Exception) -> str:
    """Return what an error says, as far as a person reads: templates may go on."""
    return " ".join(str(error)[:2000].split())[:200]


def _line(error: Exception) -> str:
    """Return where in the template the error arose, from Jinja's rewritten trace."""
    line: int | None = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line})"
