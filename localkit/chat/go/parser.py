"""A Go template as a tree (``text/template/parse/parse.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, NoReturn

from localkit.chat.go import literals
from localkit.chat.go.failure import GoTemplateFault
from localkit.chat.go.lexer import Token, lex
from localkit.chat.go.names import FUNCTIONS
from localkit.chat.go.nodes import (
    Action,
    Argument,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Leave,
    Literal,
    Node,
    Nodes,
    Pipe,
    Text,
    Variable,
)

MAX_DEPTH = 60
"""How deep branches and parentheses may nest, together."""
MAX_VARIABLES = 500
"""How many variables may be in use at one place."""
_CONTROLS = ("if", "range", "with")
_OPERANDS = frozenset(
    [
        "bool",
        "char",
        "dot",
        "field",
        "name",
        "number",
        "nil",
        "raw",
        "string",
        "variable",
        "paren",
    ]
)


class Parsed(NamedTuple):
    """A template, and those it defines."""

    root: Nodes
    defined: dict[str, Nodes]


@lru_cache(maxsize=16)
def parse(source: str) -> Parsed:
    """Return the tree of a template.

    Raises:
        GoTemplateFault: it does not parse; has the line.
    """
    parser = _Parser(lex(source))
    root = parser.root()
    return Parsed(root, parser.defined)


class _Ending(NamedTuple):
    """``end`` or ``else``, and what an ``else`` goes on with."""

    kind: str
    line: int


@dataclass(slots=True)
class _Parser:
    tokens: list[Token]
    at: int = 0
    depth: int = 0
    variables: list[str] = field(default_factory=lambda: ["$"])
    in_ranges: int = 0
    defined: dict[str, Nodes] = field(default_factory=dict)

    def root(self) -> Nodes:
        nodes: list[Node] = []
        while self._peek().kind != "end":
            if self._at_define():
                self._define()
                continue
            node = self._node()
            if isinstance(node, _Ending):
                self._fail(f"unexpected {{{{{node.kind}}}}}", node.line)
            nodes.append(node)
        return tuple(nodes)

    def _at_define(self) -> bool:
        if self._peek().kind != "left":
            return False
        after = self.at + 1
        while self.tokens[after].kind == "space":
            after += 1
        return self.tokens[after][:2] == ("keyword", "define")

    def _define(self) -> None:
        self._next()
        line = self._next().line
        name = self._template_name("define clause")
        self._expect_right("define clause")
        self._body(name, line)

    def _body(self, name: str, line: int) -> None:
        """Parse a template of its own up to its end, and keep it."""
        kept = self.variables, self.in_ranges
        self.variables, self.in_ranges = ["$"], 0
        nodes, ending = self._nodes(line)
        self.variables, self.in_ranges = kept
        if ending.kind != "end":
            self._fail(f"unexpected {{{{{ending.kind}}}}} in {name!r}", ending.line)
        if _is_empty(self.defined.get(name, ())):
            self.defined[name] = nodes
        elif not _is_empty(nodes):
            self._fail(f"template {name[:40]!r} is defined twice", line)

    def _nodes(self, line: int) -> tuple[Nodes, _Ending]:
        self._deeper(line)
        nodes: list[Node] = []
        while self._peek().kind != "end":
            node = self._node()
            if isinstance(node, _Ending):
                self.depth -= 1
                return tuple(nodes), node
            nodes.append(node)
        self._fail("unexpected EOF: an {{end}} is missing", line)

    def _node(self) -> Node | _Ending:
        token = self._next()
        if token.kind == "text":
            return Text(token.text, token.line)
        if token.kind != "left":
            self._fail(f"unexpected {token.text[:40]!r}", token.line)
        token = self._peek()
        if token.kind != "keyword":
            return Action(self._pipe("command", "right"), token.line)
        self._next()
        word, line = token.text, token.line
        if word in _CONTROLS:
            return self._branch(word, line)
        if word == "else":
            follows = self._peek()
            if follows[:2] not in (("keyword", "if"), ("keyword", "with")):
                self._expect_right("else")
            return _Ending("else", line)
        if word == "end":
            self._expect_right("end")
            return _Ending("end", line)
        if word in ("break", "continue"):
            self._expect_right(f"{{{{{word}}}}}")
            if not self.in_ranges:
                self._fail(f"{{{{{word}}}}} outside {{{{range}}}}", line)
            return Leave(word, line)
        if word == "template":
            name = self._template_name("template clause")
            pipe = None
            if self._peek().kind == "right":
                self._next()
            else:
                pipe = self._pipe("template clause", "right")
            return Call(name, pipe, line)
        if word == "block":
            name = self._template_name("block clause")
            pipe = self._pipe("block clause", "right")
            self._body(name, line)
            return Call(name, pipe, line)
        self._fail(f"unexpected {{{{{word}}}}}", line)

    def _branch(self, kind: str, line: int) -> Branch:
        n_variables = len(self.variables)
        pipe = self._pipe(kind, "right")
        self.in_ranges += kind == "range"
        body, ending = self._nodes(line)
        self.in_ranges -= kind == "range"
        otherwise: Nodes | None = None
        if ending.kind == "else":
            follows = self._peek()
            if kind != "range" and follows[:2] == ("keyword", kind):
                self._next()
                self._deeper(follows.line)
                otherwise = (self._branch(kind, follows.line),)
                self.depth -= 1
            elif follows.kind == "keyword" and self.tokens[self.at - 1].kind != "right":
                self._fail(f"unexpected <{follows.text}> in {kind}", follows.line)
            else:
                otherwise, last = self._nodes(line)
                if last.kind != "end":
                    self._fail("expected end; found {{else}}", last.line)
        del self.variables[n_variables:]
        return Branch(kind, pipe, body, otherwise, line)

    def _pipe(self, context: str, ends: str) -> Pipe:
        line = self._peek().line
        declares, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._peek()
            if token.kind == ends:
                self._next()
                break
            if token.kind not in _OPERANDS:
                what = token.text[:40] or "EOF"
                self._fail(f"unexpected {what!r} in {context}", token.line)
            commands.append(self._command())
        if not commands:
            self._fail(f"missing value for {context}", line)
        for at, command in enumerate(commands[1:], 2):
            if isinstance(command.arguments[0], Literal | Dot):
                self._fail(f"non executable command in pipeline stage {at}", line)
        return Pipe(tuple(commands), line, tuple(declares), assigns)

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        declares: list[str] = []
        while self._peek().kind == "variable":
            start = self.at
            name = self._next().text
            token = self._peek()
            if token.kind in ("declare", "assign"):
                self._next()
                declares.append(name)
                self._declare(name, token.line)
                return declares, token.kind == "assign"
            if token.kind == "comma":
                self._next()
                declares.append(name)
                self._declare(name, token.line)
                if context == "range" and len(declares) < 2:
                    if self._peek().kind in ("variable", "right", "thesis"):
                        continue
                    self._fail("range can only initialize variables", token.line)
                self._fail(f"too many declarations in {context}", token.line)
            self.at = start
            break
        return declares, False

    def _declare(self, name: str, line: int) -> None:
        if len(self.variables) >= MAX_VARIABLES:
            self._fail(f"it has more than {MAX_VARIABLES} variables", line)
        self.variables.append(name)

    def _command(self) -> Command:
        line = self._peek().line
        arguments: list[Argument] = []
        while True:
            operand = self._operand()
            if operand is not None:
                arguments.append(operand)
            token = self.tokens[self.at]
            if token.kind == "space":
                self.at += 1
                continue
            if token.kind == "pipe":
                self.at += 1
            elif token.kind not in ("right", "thesis"):
                what = token.text[:40] or "EOF"
                self._fail(f"unexpected {what!r} in operand", token.line)
            break
        if not arguments:
            self._fail("empty command", line)
        return Command(tuple(arguments), line)

    def _operand(self) -> Argument | None:
        node = self._term()
        if node is None or self.tokens[self.at].kind != "field":
            return node
        names: list[str] = []
        while self.tokens[self.at].kind == "field":
            names.append(self.tokens[self.at].text[1:])
            self.at += 1
        if isinstance(node, Field):
            return Field((*node.names, *names), node.line)
        if isinstance(node, Variable):
            return Variable(node.name, (*node.names, *names), node.line)
        if isinstance(node, Literal | Dot):
            self._fail("unexpected . after a constant", node.line)
        return Chain(node, tuple(names), node.line)

    def _term(self) -> Argument | None:
        token = self._peek()
        kind, text, line = token
        if kind not in _OPERANDS:
            return None
        self._next()
        if kind == "name":
            if text not in FUNCTIONS:
                self._fail(f"function {text[:40]!r} not defined", line)
            return Function(text, line)
        if kind == "dot":
            return Dot(line)
        if kind == "nil":
            return Literal(None, line, is_nil=True)
        if kind == "variable":
            if text not in self.variables:
                self._fail(f"undefined variable {text[:40]!r}", line)
            return Variable(text, (), line)
        if kind == "field":
            return Field((text[1:],), line)
        if kind == "bool":
            return Literal(text == "true", line)
        if kind == "char":
            return Literal(literals.rune(text, line), line)
        if kind == "number":
            return Literal(literals.number(text, line), line)
        if kind == "paren":
            self._deeper(line)
            pipe = self._pipe("parenthesized pipeline", "thesis")
            self.depth -= 1
            return pipe
        return Literal(literals.unquote(text, line), line)

    def _template_name(self, context: str) -> str:
        token = self._next()
        if token.kind not in ("string", "raw"):
            self._fail(f"unexpected {token.text[:40]!r} in {context}", token.line)
        return literals.unquote(token.text, token.line)

    def _expect_right(self, context: str) -> None:
        token = self._next()
        if token.kind != "right":
            self._fail(f"unexpected {token.text[:40]!r} in {context}", token.line)

    def _peek(self) -> Token:
        """Return the next token that is no space, spaces passed."""
        while self.tokens[self.at].kind == "space":
            self.at += 1
        return self.tokens[self.at]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind != "end":
            self.at += 1
        return token

    def _deeper(self, line: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._fail(f"it nests deeper than {MAX_DEPTH}", line)

    def _fail(self, reason: str, line: int) -> NoReturn:
        raise GoTemplateFault(reason, line)


def _is_empty(nodes: Nodes) -> bool:
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)
