"""How a model sets its thinking apart, read off a Go template of no known family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.chat.go import reading
from localkit.chat.thinking import ThinkingStyle

if TYPE_CHECKING:
    from localkit.chat.go.template import GoTemplate

_MAX_TAG_CHARS = 64


def thinking_style(template: GoTemplate) -> ThinkingStyle | None:
    """Return the tags around ``.Thinking``, as Ollama finds them; None without both."""
    opens, closes = reading.thinking_tags(template.parsed)
    if not opens or not closes or max(len(opens), len(closes)) > _MAX_TAG_CHARS:
        return None
    return ThinkingStyle("go-tags", opens, closes)
