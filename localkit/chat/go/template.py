"""A Go template of an Ollama model (``template/template.go``: ``Parse``, ``Execute``).

It runs in this process: it is interpreted step by step, each step is paid for out of
a budget, and nothing in it can reach a Python object.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from localkit.chat.budget import MAX_VALUE, Budget, OverBudget
from localkit.chat.go import reading
from localkit.chat.go.data import messages_value, tools_value
from localkit.chat.go.evaluation import Run
from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.parser import Parsed, parse
from localkit.chat.go.turns import gather
from localkit.chat.go.values import Map
from localkit.chat.messages import Message
from localkit.chat.texts import message_texts, texts_in
from localkit.chat.tools import ToolCall
from localkit.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TEMPLATE_CHARS = 1 << 20
_HINT = "call generate(prompt) for raw text, or use another build of the model"
_RESPONSE = "{{ .Response }}"
_CALL = ToolCall("probeTool", {"probeKey": "probeValue"}, "probe0000")


class GoTemplate:
    """A template of Go's ``text/template``, run as Ollama runs it."""

    kind = "go"

    def __init__(self, source: str) -> None:
        """Keep the template; it is parsed at the first use.

        Raises:
            TemplateError: it is too long to be one.
        """
        if len(source) > MAX_TEMPLATE_CHARS:
            msg = f"the chat template has {len(source):,} characters"
            raise TemplateError(msg, hint=_HINT)
        self.source = source
        self.digest = "sha256:" + hashlib.sha256(source.encode()).hexdigest()
        """Digest of the source, for receipts; that of the layer it came in."""

    @cached_property
    def parsed(self) -> Parsed:
        """The tree, ``{{ .Response }}`` put behind it where nothing asks for one.

        Raises:
            TemplateError: the template does not parse. Names its line.
        """
        try:
            parsed = parse(self.source)
        except GoTemplateFault as fault:
            msg = f"the Go template does not parse: {fault.reason} (line {fault.line})"
            raise TemplateError(msg, hint=_HINT) from fault
        if reading.variables(parsed).isdisjoint(("messages", "response")):
            parsed = parsed._replace(root=(*parsed.root, *parse(_RESPONSE).root))
        return parsed

    @cached_property
    def variables(self) -> frozenset[str]:
        """Names that the template uses, in lower case, as Ollama gathers them."""
        return reading.variables(self.parsed)

    @cached_property
    def written(self) -> str:
        """Text that the template writes by itself."""
        return reading.written(self.parsed)

    @property
    def takes_messages(self) -> bool:
        """Whether it gets whole conversations; else one exchange at a time."""
        return "messages" in self.variables

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
        think: bool | str | None = None,
    ) -> str:
        """Return the conversation as text, control tokens spelled out.

        Args:
            messages: The conversation.
            add_generation_prompt: Go templates have no such switch: they begin an
                answer unless the conversation ends with one.
            tools: Tools as the OpenAI API has them.
            think: Whether to think, or at which level; None leaves it to the model.

        Raises:
            TemplateError: the template does not parse, fails, or asks for more
                work, memory or output than a chat template needs. Names its line.
        """
        del add_generation_prompt
        given = [text for message in messages for text in message_texts(message)]
        size = sum(map(len, [*given, *texts_in(list(tools))]))
        budget, parsed = Budget(size), self.parsed
        room = MAX_VALUE + size
        system, turns = gather(messages)
        asked = {
            "Response": "",
            "Think": bool(think),
            # As in Ollama: its plain "yes" is the middle of three levels.
            "ThinkLevel": think if isinstance(think, str) else "medium" * bool(think),
            "IsThinkSet": think is not None,
        }
        if self.takes_messages:
            data = {
                "System": system,
                "Messages": messages_value(turns),
                "Tools": tools_value(tools),
            }
            return self._run(parsed, asked | data, budget, room)
        return self._exchanges(messages, asked, budget, room)

    def fill_in(self, prompt: str, suffix: str) -> str:
        """Return the text with which a model fills in between two texts.

        Raises:
            TemplateError: the template knows no suffix; or as `render`.
        """
        if "suffix" not in self.variables:
            msg = "the model's Go template knows no .Suffix"
            raise TemplateError(msg, hint="take a model made to fill in code")
        size = len(prompt) + len(suffix)
        data = {
            "Prompt": prompt,
            "Suffix": suffix,
            "Response": "",
            "Think": False,
            "ThinkLevel": "",
            "IsThinkSet": False,
        }
        return self._run(self.parsed, data, Budget(size), MAX_VALUE + size)

    def prove(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Do nothing: a Go template needs no proof to run here.

        Raises:
            TemplateError: it does not parse.
        """
        del messages, tools
        _ = self.parsed

    def asks_for(self, *names: str) -> bool:
        """Return whether the template uses one of these variables of Jinja's."""
        if not self.takes_messages and set(names) & {"tools"}:
            return False
        wanted = {of_go for name in names for of_go in _NAMES.get(name, (name,))}
        return not self.variables.isdisjoint(wanted)

    def call_form(self) -> str | None:
        """Return ``go`` if the template writes calls out; None if it drops them."""
        if "toolcalls" not in self.variables or not self.takes_messages:
            return None
        talk = [Message("user", "u"), Message("assistant", "", tool_calls=(_CALL,))]
        try:
            text = self.render([*talk, Message("tool", "r", name=_CALL.name)])
        except TemplateError:
            return None
        return "go" if "probeValue" in text else None

    def _exchanges(
        self,
        messages: Sequence[Message],
        asked: Mapping[str, Any],
        budget: Budget,
        room: int,
    ) -> str:
        """Render one exchange at a time, the last up to its answer."""
        texts: list[str] = []
        now = {"system": "", "user": "", "assistant": ""}

        def render(parsed: Parsed) -> None:
            data = {
                **asked,
                "System": now["system"],
                "Prompt": now["user"],
                "Response": now["assistant"],
            }
            text = self._run(parsed, data, budget, room - sum(map(len, texts)))
            texts.append(text)
            now.update(dict.fromkeys(now, ""))

        _, turns = gather(messages)
        for turn in turns:
            follows = {
                "system": now["user"] or now["assistant"],
                "user": now["assistant"],
            }
            if follows.get(turn.role):
                render(self.parsed)
            if turn.role in now:
                now[turn.role] = turn.content
        parsed = self.parsed
        render(parsed._replace(root=reading.cut_at_response(parsed.root)))
        return "".join(texts)

    def _run(
        self, parsed: Parsed, data: Mapping[str, Any], budget: Budget, room: int
    ) -> str:
        run = Run(parsed.root, parsed.defined, budget, room)
        try:
            return run.text(Map(data))
        except GoTemplateFault as fault:
            reason = " ".join(fault.reason[:2000].split())[:200]
            msg = f"the Go template fails: {reason} (line {fault.line})"
            raise TemplateError(msg, hint=_HINT) from fault
        except OverBudget as over:
            msg = f"the Go template is not safe to render: {over} (line {run.line})"
            raise TemplateError(msg, hint=_HINT) from over


_NAMES: dict[str, tuple[str, ...]] = {
    "enable_thinking": ("think", "thinklevel", "isthinkset"),
    "thinking": ("think", "thinklevel", "isthinkset"),
}
