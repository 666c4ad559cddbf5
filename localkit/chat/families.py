"""Which family a loaded model belongs to: how it thinks, how it calls tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from localkit.chat.call_syntax import CallSyntax, detect_syntax
from localkit.chat.go.calls import call_syntax
from localkit.chat.go.template import GoTemplate
from localkit.chat.go.thinking import thinking_style
from localkit.chat.harmony import MARKS
from localkit.chat.thinking import ThinkingStyle, detect_thinking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.chat.template_choice import AnyTemplate
    from localkit.runtime.protocol import Session

CHANNEL_ANSWER = "<|channel|>final<|message|>"
"""What begins an answer of gpt-oss that nothing is thought before."""


class Family(NamedTuple):
    """What the template and the vocabulary of a model show."""

    style: ThinkingStyle | None
    channels: bool
    """Whether it is gpt-oss, which tells everything apart by channels."""
    syntax: CallSyntax | None
    spelled: Mapping[int, str]
    """Control tokens that tell parts apart, and which no text shows."""


_families: WeakKeyDictionary[Session, dict[str, Family]] = WeakKeyDictionary()


def family_of(session: Session, template: AnyTemplate) -> Family:
    """Return the family of a session and its template, found at the first question."""
    known = _families.setdefault(session, {})
    if template.digest not in known:
        known[template.digest] = _detect(session, template)
    return known[template.digest]


def _detect(session: Session, template: AnyTemplate) -> Family:
    source, controls = template.source, session.control_tokens
    syntax = detect_syntax(source, controls)
    channels = syntax is not None and syntax.body == "channel"
    style = None if channels else detect_thinking(source, controls)
    if isinstance(template, GoTemplate):
        syntax = syntax or call_syntax(template)
        style = style or (None if channels else thinking_style(template))
    parts = [*MARKS] if channels else [*(style.tags if style else ())]
    if syntax is not None:
        # Patterns spell the same texts, with backslashes in them.
        patterns = (syntax.head, syntax.tail)
        parts += [*syntax.openers, syntax.opens, syntax.closes, *patterns]
    known = "\n".join(parts).replace("\\", "")
    spelled = {
        token: text
        for text, token in controls.items()
        if text and text in known and not session.detokenize([token])
    }
    return Family(style, channels, syntax, spelled)
