"""A Go template cut into tokens (``text/template/parse/lex.go``)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from localkit.chat.go.failure import GoTemplateFault

Kind = Literal[
    "text",
    "left",
    "right",
    "space",
    "string",
    "raw",
    "char",
    "number",
    "field",
    "dot",
    "variable",
    "keyword",
    "bool",
    "nil",
    "name",
    "pipe",
    "paren",
    "thesis",
    "declare",
    "assign",
    "comma",
    "end",
]
MAX_TOKENS = 50_000
"""Published templates have a few hundred."""


class Token(NamedTuple):
    """One token."""

    kind: Kind
    text: str
    line: int


_SPACE = " \t\r\n"
_KEYWORDS = frozenset(
    [
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "range",
        "template",
        "with",
    ]
)
# A minus in front of the right delimiter trims only behind a space.
_RIGHT = re.compile(r"(?P<trim>[ \t\r\n]+-)?\}\}")
_TERMINATOR = re.compile(r"[ \t\r\n.,|:()]|\}\}|\Z")
_DIGITS = r"(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
_DIGITS += r"|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)"
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\r\n]+)
    |(?P<string>"(?:\\[^\n]|[^"\\\n])*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:\\[^\n]|[^'\\\n])*')
    |(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<comma>,)
    |(?P<paren>\()|(?P<thesis>\))
    |(?P<variable>\$\w*)
    |(?P<number>(?:[+-]|(?=\.?[0-9])){_DIGITS}i?)
    |(?P<field>\.\w*)
    |(?P<name>\w+)
    """,
    re.VERBOSE,
)
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}


def lex(source: str) -> list[Token]:
    """Return the tokens of a template, comments left out, an ``end`` at the end.

    Raises:
        GoTemplateFault: a token is none, or there are more than `MAX_TOKENS`.
    """
    tokens: list[Token] = []
    at, line, trimming = 0, 1, False
    while True:
        opens = source.find("{{", at)
        text = source[at:] if opens < 0 else source[at:opens]
        line_after = line + text.count("\n")
        trims_left = (
            opens >= 0
            and source[opens + 2 : opens + 3] == "-"
            and source[opens + 3 : opens + 4] in tuple(_SPACE)
        )
        if trims_left:
            text = text.rstrip(_SPACE)
        if trimming:
            stripped = text.lstrip(_SPACE)
            line += text[: len(text) - len(stripped)].count("\n")
            text = stripped
        if text:
            tokens.append(Token("text", text, line))
        line = line_after
        if opens < 0:
            tokens.append(Token("end", "", line))
            return tokens
        at = opens + (4 if trims_left else 2)
        if source.startswith("/*", at):
            closes = source.find("*/", at + 2)
            if closes < 0:
                raise GoTemplateFault("unclosed comment", line)
            ends = _RIGHT.match(source, closes + 2)
            # Exactly one space and the minus, as Go has it for comments.
            if ends is None or len(ends["trim"] or "  ") != 2:
                raise GoTemplateFault("comment ends before closing delimiter", line)
            line += source.count("\n", opens, ends.end())
            at, trimming = ends.end(), ends["trim"] is not None
            continue
        if trims_left:
            line += source[opens:at].count("\n")
        tokens.append(Token("left", "{{", line))
        at, line, trimming = _action(source, at, line, tokens)


def _action(
    source: str, at: int, line: int, tokens: list[Token]
) -> tuple[int, int, bool]:
    """Cut one action; return where and on which line it ends, and if it trims."""
    depth, began = 0, line
    while True:
        if len(tokens) > MAX_TOKENS:
            msg = f"it has more than {MAX_TOKENS:,} parts"
            raise GoTemplateFault(msg, line)
        closes = _RIGHT.match(source, at)
        if closes is not None:
            if depth:
                raise GoTemplateFault("unclosed left paren", line)
            line += closes[0].count("\n")
            tokens.append(Token("right", "}}", line))
            return closes.end(), line, closes["trim"] is not None
        found = _TOKEN.match(source, at)
        if found is None or not found[0]:
            raise _unknown(source, at, line, began)
        kind, text = found.lastgroup, found[0]
        at = found.end()
        if kind in ("field", "variable", "name") and not _TERMINATOR.match(source, at):
            msg = f"bad character {source[at : at + 1]!r} after '{text[:40]}'"
            raise GoTemplateFault(msg, line)
        if kind == "number" and re.match(r"[\w+-]", source[at : at + 1]):
            msg = f"bad number syntax: '{text[:40]}'"
            raise GoTemplateFault(msg, line)
        depth += {"paren": 1, "thesis": -1}.get(kind or "", 0)
        if depth < 0:
            raise GoTemplateFault("unexpected right paren", line)
        tokens.append(Token(_named(kind, text), text, line))
        line += text.count("\n")


def _named(kind: str | None, text: str) -> Kind:
    if kind == "field" and text == ".":
        return "dot"
    if kind == "name":
        if text in _KEYWORDS:
            return "keyword"
        if text in ("true", "false"):
            return "bool"
        return "nil" if text == "nil" else "name"
    return kind  # type: ignore[return-value]  # the groups are named by their kinds


def _unknown(source: str, at: int, line: int, began: int) -> GoTemplateFault:
    if at >= len(source):
        return GoTemplateFault("unclosed action", began)
    character = source[at]
    if character in _UNTERMINATED:
        return GoTemplateFault(_UNTERMINATED[character], line)
    if character == ":":
        return GoTemplateFault("expected :=", line)
    msg = f"unexpected {character!r} in an action"
    return GoTemplateFault(msg, line)
