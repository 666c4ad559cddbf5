"""How a model writes calls, read off a Go template that no known family fits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.chat.call_syntax import CallSyntax
from localkit.chat.go import reading

if TYPE_CHECKING:
    from localkit.chat.go.template import GoTemplate

_KEYS = re.compile(
    r'"(name|tool_name)"\s*:\s*"\s.{0,80}?"(arguments|parameters)"\s*:', re.DOTALL
)
# A tag of marks or one word, such as <toolcall> or functools; no prose.
_TAG = re.compile(r"[^\s\[]{2,40}|\[[A-Z_]{2,40}\]")


def call_syntax(template: GoTemplate) -> CallSyntax | None:
    """Return the form of calls that the template writes in JSON; None if in none.

    The tag in front is found as Ollama finds it (``tools/template.go``). Without
    one, an answer that begins with ``{`` is a call.
    """
    if not template.takes_messages or "toolcalls" not in template.variables:
        return None
    found = _KEYS.search(template.written)
    if found is None:
        return None
    keys = (found[1], found[2])
    tag = reading.call_tag(template.parsed)
    opener = tag.rstrip("[ \n") if tag != "[" else "{"
    if opener == "{":
        head = r"\s*(?=[\[{])"
        return CallSyntax(
            "go-bare", "json", (), "", head=head, tail=r"\s*;?", keys=keys, bare=True
        )
    if not _TAG.fullmatch(opener):
        return None
    closes = f"</{opener[1:]}" if re.fullmatch(r"<\w+>", opener) else ""
    return CallSyntax(
        "go-tag",
        "json",
        (opener,),
        opener,
        tail=rf"\s*(?:{re.escape(closes)})?" if closes else r"",
        keys=keys,
        listed=tag.endswith("["),
    )
