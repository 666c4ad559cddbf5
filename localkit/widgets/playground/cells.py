"""A conversation as the source of a notebook cell: ``%%llm`` where that can say it.

A line of a magic is one line, and its body one message; anything more becomes
Python.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.chat.messages import Message
    from localkit.widgets.playground.draft import Setup

_PLAIN_WORD = re.compile(r"[\w@%+=:,./~-]+", re.ASCII)


def cell_of(setups: Sequence[Setup], messages: Sequence[Message]) -> str:
    """Return a cell that asks the models of ``setups`` what ``messages`` ask.

    Raises:
        UsageError: the setups differ in more than the model.
    """
    first, refs = setups[0], [one.ref for one in setups]
    if any(one.given != first.given for one in setups):
        msg = "the columns differ in more than the model"
        raise UsageError(msg, hint="make a cell of one of them: to_cell(0)")
    system = messages[0].content if messages[0].role == "system" else ""
    rest = messages[1:] if system else messages
    if len(rest) == 1 and _fits_a_line([system, *refs]):
        return _magic(refs, first, system, rest[0].content)
    return _python(refs, first, messages)


def _fits_a_line(texts: Sequence[str]) -> bool:
    """Return whether the line of a magic can hold them: see `magics.arguments`."""
    return all(len(text.splitlines()) < 2 and "\ue000" not in text for text in texts)


def _magic(refs: Sequence[str], setup: Setup, system: str, prompt: str) -> str:
    words = ["%%llm", *map(_quoted, refs)]
    if system:
        words.append(f"--system={_quoted(system)}")
    for name, value in setup.sampling.items():
        words.append(f"--{name.replace('_', '-')} {value}")
    if setup.n_ctx is not None:
        words.append(f"--n-ctx {setup.n_ctx}")
    if setup.think is not None:
        words.append("--think" if setup.think else "--no-think")
    if "{{" in prompt:
        words.append("--raw")
    # A cell ends with a line end that is no part of the prompt.
    end = "\n" if prompt.endswith("\n") else ""
    return f"{' '.join(words)}\n{prompt}{end}"


def _quoted(text: str) -> str:
    r"""Return one word of a magic's line; there ``\`` is an ordinary character."""
    if _PLAIN_WORD.fullmatch(text):
        return text
    pieces = text.replace("{{", r"\{{").split('"')
    return "'\"'".join(f'"{piece}"' for piece in pieces)


def _python(refs: Sequence[str], setup: Setup, messages: Sequence[Message]) -> str:
    lines = ["import localkit", "", "messages = ["]
    lines += [
        f'    {{"role": "{one.role}", "content": {one.content!r}}},' for one in messages
    ]
    lines.append("]")
    options = dict(setup.sampling)
    if setup.think is not None:
        options["think"] = setup.think
    chat = "".join(f", {name}={value!r}" for name, value in options.items())
    load = "" if setup.n_ctx is None else f", n_ctx={setup.n_ctx}"
    if len(refs) == 1:
        lines.append(f"answer = localkit.load({refs[0]!r}{load}).chat(messages{chat})")
        return "\n".join([*lines, "answer"])
    lines.append("answers = [")
    lines.append(f"    localkit.load(ref{load}).chat(messages{chat})")
    lines.append(f"    for ref in {tuple(refs)!r}")
    return "\n".join([*lines, "]", "answers"])
