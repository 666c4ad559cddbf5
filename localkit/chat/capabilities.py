"""What a model can do, read off its files: nothing of it is loaded or run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, get_args

from localkit.chat.call_syntax import detect_syntax
from localkit.chat.go.calls import call_syntax
from localkit.chat.go.template import GoTemplate
from localkit.chat.go.thinking import thinking_style
from localkit.chat.template_choice import choice_of
from localkit.chat.thinking import detect_thinking
from localkit.errors import TemplateError
from localkit.gguf import read_header
from localkit.gguf.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from localkit.chat.template_choice import Choice
    from localkit.store import StoredModel

Capability = Literal[
    "completion", "chat", "tools", "vision", "embedding", "thinking", "insert"
]
CAPABILITIES: Final[tuple[Capability, ...]] = get_args(Capability)
"""In the order in which they are shown. Ollama's are the same without ``chat``."""

_CONTROL_TYPES: Final = (3, 4)
"""ggml's numbers for control and user-defined tokens."""
_JINJA_CODE: Final = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_JINJA_COMMENT: Final = re.compile(r"\{#.*?#\}", re.DOTALL)
_QUOTED: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_TOOLS: Final = re.compile(r"(?<![.\w])tools\b")
_SWITCH: Final = re.compile(r"\benable_thinking\b|\breasoning_effort\b")


def capabilities(stored: StoredModel) -> tuple[Capability, ...]:
    """Return what a stored model can do, in the order of `CAPABILITIES`.

    Raises:
        GGUFError: the weights are not a GGUF that can be read.
        ManifestInvalid, BlobCorrupt: a layer of it cannot be read.
    """
    info, choice = stored.info, choice_of(stored)
    found: set[str] = set(stored.config.capabilities)
    if info.pools:
        found.add("embedding")
    else:
        found.add("completion")
        if choice is not None:
            found |= {"chat", *of_template(choice)}
        if info.fills_gaps:
            found.add("insert")
    if stored.projector is not None or info.sees:
        found.add("vision")
    return tuple(one for one in CAPABILITIES if one in found)


def of_template(
    choice: Choice, control_tokens: Collection[str] = ()
) -> set[Capability]:
    """Return which of tools, thinking and insert a template shows.

    Its source is looked at, never run: it may be anybody's.
    """
    if choice.kind == "go":
        return _of_go(GoTemplate(choice.source), control_tokens)
    found: set[Capability] = set()
    source = _JINJA_COMMENT.sub("", choice.source)
    code = " ".join(_QUOTED.sub("''", piece) for piece in _JINJA_CODE.findall(source))
    if _TOOLS.search(code):
        found.add("tools")
    syntax = detect_syntax(choice.source, control_tokens)
    channels = syntax is not None and syntax.body == "channel"
    if channels or _SWITCH.search(code) or detect_thinking(source, control_tokens):
        found.add("thinking")
    return found


def control_texts(weights: Path) -> frozenset[str]:
    """Return the control and user-defined tokens in the header of a GGUF, as texts.

    Raises:
        GGUFError: it is not a GGUF that can be read.
    """
    fields = Fields(read_header(weights).kv)
    tokens = fields.texts("tokenizer.ggml.tokens")
    types = fields.numbers("tokenizer.ggml.token_type") or ()
    return frozenset(
        token.decode(errors="replace")
        for token, type_ in zip(tokens, types, strict=False)
        if type_ in _CONTROL_TYPES
    )


def _of_go(template: GoTemplate, control_tokens: Collection[str]) -> set[Capability]:
    found: set[Capability] = set()
    try:
        names = template.variables
    except TemplateError:
        return found
    if template.takes_messages and "tools" in names:
        found.add("tools")
    if "suffix" in names:
        found.add("insert")
    syntax = detect_syntax(template.source, control_tokens) or call_syntax(template)
    channels = syntax is not None and syntax.body == "channel"
    if (
        channels
        or names & {"think", "thinklevel", "isthinkset"}
        or detect_thinking(template.source, control_tokens)
        or thinking_style(template)
    ):
        found.add("thinking")
    return found
