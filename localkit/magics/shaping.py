"""What a cell shows of an answer: its Markdown, its text, its JSON, or its code."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.chat.parsing import parse_json
from localkit.errors import UsageError

if TYPE_CHECKING:
    from localkit.chat.result import Result

Format = Literal["md", "text", "json", "code"]
FORMATS: tuple[Format, ...] = ("md", "text", "json", "code")

# As CommonMark has it: the closing fence is at least as long as the opening one.
_FENCE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n`]*\n"
    r"(?P<inside>.*?)"
    r"(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


def shaped(result: Result, fmt: Format) -> Result:
    """Return the result with its text as ``fmt`` shows it; as it is where it cannot."""
    if fmt == "json":
        value, error = parse_json(result.text)
        if not error:
            pretty = json.dumps(value, ensure_ascii=False, indent=2)
            return dataclasses.replace(result, text=pretty)
    if fmt == "code":
        found = code_of(result.text)
        notes = result.notes
        if found.n_blocks > 1:
            notes = (*notes, f"the first of {found.n_blocks} blocks of code")
        return dataclasses.replace(result, text=found.code, notes=notes)
    return result


class Code(NamedTuple):
    """What stands between fences."""

    code: str
    n_blocks: int


def code_of(text: str) -> Code:
    """Return the first fenced block; the whole text where there is no fence."""
    found = list(_FENCE.finditer(text))
    if not found:
        return Code(text.strip("\n"), 0)
    return Code(found[0]["inside"].rstrip("\n"), len(found))


def check_json(result: Result) -> None:
    """Refuse an answer that is no JSON, now that it has been shown.

    Raises:
        UsageError: it is none; says why.
    """
    _, error = parse_json(result.text)
    if error and result.finish_reason != "interrupted":
        hint = "ask for JSON with --schema, or leave out --format json"
        if result.finish_reason == "length":
            hint = "it was cut: --max-tokens allows more"
        msg = f"the answer is shown, but {error}"
        raise UsageError(msg, hint=hint)
