r"""``{{expr}}`` in a prompt: the one thing in a body that is not literal text.

An expression runs from ``{{`` to the first ``}}`` that makes it valid Python,
so ``{{ {"a": {"b": 1}} }}`` works. ``\{{`` is a literal ``{{``. A ``{{`` that no
``}}`` follows is literal too. Single braces never mean anything, so JSON, LaTeX
and code stay as they were written. What a value contains is not looked at again.
"""

from __future__ import annotations

from collections.abc import Callable

from localkit.errors import UsageError

OPEN, CLOSE = "{{", "}}"

Evaluate = Callable[[str], object]


def interpolate(text: str, evaluate: Evaluate) -> str:
    r"""Return ``text`` with every ``{{expr}}`` replaced by the value's ``str``.

    Raises:
        UsageError: an expression is not Python, or fails; the message names it.
    """
    parts: list[str] = []
    position = 0
    while (start := text.find(OPEN, position)) >= 0:
        if start > position and text[start - 1] == "\\":
            parts += [text[position : start - 1], OPEN]
            position = start + len(OPEN)
            continue
        if text.find(CLOSE, start) < 0:
            break
        source, end = _expression(text, start + len(OPEN))
        parts += [text[position:start], _value(source, evaluate)]
        position = end
    return "".join((*parts, text[position:]))


def _expression(text: str, start: int) -> tuple[str, int]:
    """Return the expression that begins at ``start``, and where its ``}}`` ends."""
    end = text.find(CLOSE, start)
    shortest = text[start:end].strip()
    while end >= 0:
        source = text[start:end].strip()
        if _is_expression(source):
            return source, end + len(CLOSE)
        # One brace further: in `}}}` the first may belong to the expression.
        end = text.find(CLOSE, end + 1)
    msg = f"{OPEN}{_short(shortest)}{CLOSE} is not a Python expression"
    raise UsageError(
        msg, hint=r"write \{{ for two literal braces, or pass --raw to send it as it is"
    )


def _is_expression(source: str) -> bool:
    try:
        compile(source, "<prompt>", "eval")
    except (SyntaxError, ValueError):  # ValueError: a NUL in the text
        return False
    return True


def _value(source: str, evaluate: Evaluate) -> str:
    try:
        return str(evaluate(source))
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        msg = f"{OPEN}{_short(source)}{CLOSE} failed with {cause}"
        raise UsageError(
            msg, hint=r"define it first; \{{ is literal, --raw sends the text as it is"
        ) from error


def _short(source: str) -> str:
    """Return at most 60 characters on one line."""
    line = " ".join(source.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
