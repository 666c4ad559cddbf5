"""A prompt view as plain text: for terminals, logs and notebooks without HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.render.table import plain_table
from localkit.render.text import clean
from localkit.render.visible import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localkit.evals.token_views.prompt_view import PromptView

MAX_TOKENS = 2000
"""More are counted and not shown; the text says so."""


def prompt_text(view: PromptView) -> str:
    """Return figures, the marked text with positions, messages, and what to know.

    Control tokens stand in ``«…»``. The number before a line is the position of its
    first token.
    """
    parts = [
        "\n".join(figures(view)),
        "\n".join(_lines(view)),
        _messages(view),
        "\n".join(f"- {remark}" for remark in remarks(view)),
    ]
    return "\n\n".join(part for part in parts if part)


def figures(view: PromptView) -> Iterator[str]:
    """Yield the sums: what the prompt takes and what is left."""
    yield f"{clean(view.ref)} · template {clean(view.template)}"
    yield (
        f"{view.n_tokens} tokens of {view.n_ctx}: {view.n_of('message')} of messages, "
        f"{view.n_of('control')} control, {view.n_of('template')} of the template, "
        f"{view.n_of('opening')} that open the answer"
    )
    if view.room <= 0:
        yield (
            f"no room for an answer: the prompt is {view.n_tokens} tokens and n_ctx is "
            f"{view.n_ctx}, so it is refused"
        )
    elif view.overrun:
        yield (
            f"room for {view.room} tokens of the answer, which may have "
            f"{view.max_tokens}: a longer one is cut there"
        )
    else:
        yield (
            f"room for {view.room} tokens of the answer; it may have {view.max_tokens}"
        )


def remarks(view: PromptView) -> Iterator[str]:
    """Yield what a reader must know beside the text, a sentence each."""
    dropped = [part.number for part in view.parts if part.state == "dropped"]
    if dropped:
        yield f"left out so that the rest fits: {_numbers(dropped)}, the oldest turns"
    elif view.would_drop:
        yield (
            f"for {view.max_tokens} tokens of answer {_numbers(view.would_drop)} would "
            "have to go, the oldest turns first; nothing is left out unless you ask "
            'for it (fit="drop-oldest")'
        )
    if view.overrun:
        yield f"for all of it load with n_ctx>={view.n_tokens + view.max_tokens}"
    for index, text in view.guarded:
        yield (
            f"message {index} spells the control token {quoted(text)}: "
            "it is read as text, and controls nothing"
        )
    for part in view.parts:
        if part.why and part.state != "dropped":
            yield f"message {part.number} ({part.role}): {clean(part.why)}"
    first = view.tokens[0].spelling if view.tokens else None
    if view.adds_bos and first is not None:
        yield f"the tokenizer puts {quoted(first.text)} before every text, once"
    for note in view.notes:
        yield clean(note)


def _numbers(numbers: Sequence[int]) -> str:
    told = ", ".join(map(str, numbers))
    return f"message {told}" if len(numbers) == 1 else f"messages {told}"


def _lines(view: PromptView) -> Iterator[str]:
    line, first = "", 0
    width = len(str(view.n_tokens))
    for at, token in enumerate(view.tokens[:MAX_TOKENS]):
        if not line:
            first = at
        shown = token.spelling.shown()
        line += f"«{shown}»" if token.spelling.control else shown
        if token.spelling.text.endswith("\n"):
            yield f"{first:>{width}} │ {clean(line)}"
            line = ""
    if line:
        yield f"{first:>{width}} │ {clean(line)}"
    if view.n_tokens > MAX_TOKENS:
        yield f"… {view.n_tokens - MAX_TOKENS:,} more tokens are not shown"


def _messages(view: PromptView) -> str:
    if not view.parts:
        return ""
    rows = [
        (part.number, part.role, part.n_tokens, part.n_chars, part.state)
        for part in view.parts
    ]
    return plain_table(("message", "role", "tokens", "characters", "is"), rows)
