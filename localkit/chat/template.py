"""A model's own chat template: messages to the text that the model was trained on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError
from jinja2.exceptions import SecurityError

from localkit.chat.budget import OverBudget, open_budget
from localkit.chat.sandbox import ChatSandbox, Refused
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from jinja2 import Template

    from localkit.chat.messages import Message

MAX_TEMPLATE_CHARS = 1 << 20
MAX_OUTPUT_CHARS = 1 << 20
"""Most characters that a template may add to what the messages hold."""


class ChatTemplate:
    """A compiled template, with the texts of the tokens that it may write."""

    __slots__ = ("_bos_token", "_compiled", "_eos_token", "digest", "source")

    def __init__(
        self, source: str | None, bos_token: str = "", eos_token: str = ""
    ) -> None:
        """Compile the template.

        Raises:
            TemplateError: there is none, or it is not a template.
        """
        if not source:
            msg = "the model carries no chat template"
            hint = "call generate(prompt) for raw text, or take a model made for chat"
            raise TemplateError(msg, hint=hint)
        self.source = source
        self.digest = "sha256:" + hashlib.sha256(source.encode()).hexdigest()
        """Digest of the source, for receipts."""
        self._bos_token = bos_token
        self._eos_token = eos_token
        self._compiled = _compile(source)

    def render(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = True
    ) -> str:
        """Return the conversation as text, control tokens spelled out.

        Raises:
            TemplateError: the template refuses the messages, fails, or asks for
                more work or output than a chat template needs. Names its line.
        """
        content_size = sum(len(message.content) for message in messages)
        budget = open_budget(content_size)
        room = MAX_OUTPUT_CHARS + content_size
        chunks: list[str] = []
        try:
            for chunk in self._compiled.generate(
                messages=[
                    {"role": message.role, "content": message.content}
                    for message in messages
                ],
                add_generation_prompt=add_generation_prompt,
                bos_token=self._bos_token,
                eos_token=self._eos_token,
                # Templates ask `tools is not none`: undefined would count as given.
                tools=None,
                documents=None,
            ):
                budget.charge(len(chunk))
                room -= len(chunk)
                chunks.append(chunk)
                if room < 0:
                    msg = f"it writes more than {MAX_OUTPUT_CHARS:,} characters"
                    raise OverBudget(msg)
        except Refused as refusal:
            msg = f"the chat template refuses these messages: {refusal}"
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


@lru_cache(maxsize=16)
def _compile(source: str) -> Template:
    if len(source) > MAX_TEMPLATE_CHARS:
        msg = f"the chat template has {len(source):,} characters"
        raise TemplateError(msg, hint=_HINT)
    try:
        return ChatSandbox().from_string(source)
    except TemplateSyntaxError as error:
        msg = f"the chat template does not parse: {error.message} (line {error.lineno})"
        raise TemplateError(msg, hint=_HINT) from error
    except Exception as error:
        # RecursionError and MemoryError too: deep nesting ends in the parser.
        msg = f"the chat template does not compile: {_reason(error)}"
        raise TemplateError(msg, hint=_HINT) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _line(error: Exception) -> str:
    """Return where in the template the error arose, from Jinja's rewritten trace."""
    line: int | None = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line})"
