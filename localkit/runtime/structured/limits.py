"""Caps on what is compiled, so that no grammar kills or stalls the process.

llguidance bounds its own work (`parser_limits`), but it follows rules and references
by recursion: a chain of them ends in a stack overflow, which no except clause
catches. Measured on a stack of 8 MiB: it holds 2000 levels of references and nested
schemas, or 2000 rules and groups, and dies of 3000; half of it is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import GrammarInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 64 * 1024
"""Of any structure's text; a schema of this size compiles in 0.1 s."""
MAX_GBNF_BYTES = 16 * 1024
"""Of a GBNF grammar, which is analysed here, in Python."""
MAX_DEPTH = 100
"""Levels of brackets in a schema; llguidance's own reader stops at 128."""
MAX_LEVELS = 1000
"""Levels of a schema with its references followed, each target once; or rules and
groups of a grammar."""
MAX_PROPERTIES = 400
"""Properties of one object: each optional one is four items in a parser row of 2000,
and the time to compile grows with their square."""


def parser_limits() -> Any:
    r"""Return llguidance's limits for one grammar.

    With its defaults a hostile grammar took 1 s to be refused, another 0.4 s for one
    mask; with these 0.14 s and 0.06 s. Text of counted Unicode classes (300 times
    ``\w+``) may pass the limit of states with 262k tokens, and then says so.
    """
    from llguidance import LLParserLimits

    return LLParserLimits(
        initial_lexer_fuel=200_000,
        step_lexer_fuel=50_000,
        step_max_items=50_000,
        max_lexer_states=50_000,
        max_grammar_size=100_000,
        verbose_errors=False,
    )


def check_size(what: str, text: str, most: int = MAX_BYTES) -> None:
    """Refuse a text of more than ``most`` bytes.

    Raises:
        GrammarInvalid: names the number; or the text cannot be encoded.
    """
    try:
        n_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        msg = f"character {error.start} of the {what} is half a surrogate pair"
        hint = "clean it: text.encode('utf-8', 'replace').decode()"
        raise GrammarInvalid(msg, hint=hint) from error
    if n_bytes > most:
        msg = f"the {what} has {n_bytes} bytes; the most is {most}"
        raise GrammarInvalid(msg, hint="make it smaller, or ask in several steps")


def check_schema(schema: Any) -> None:
    """Refuse a JSON Schema that is too deep with its references, or too wide.

    Raises:
        GrammarInvalid: over one of the caps; names the number.
    """
    depth = _depth(schema)
    if depth > MAX_DEPTH:
        msg = f"the schema is nested {depth} deep; the most is {MAX_DEPTH}"
        raise GrammarInvalid(msg, hint="make it flatter: move parts to $defs")
    levels = depth + sum(
        _depth(_target(schema, ref)) for ref in set(_references(schema))
    )
    if levels > MAX_LEVELS:
        msg = f"the schema has {levels} levels of references; the most is {MAX_LEVELS}"
        raise GrammarInvalid(msg, hint="use fewer or flatter definitions")
    for value in _values(schema):
        properties = value.get("properties") if isinstance(value, dict) else None
        if isinstance(properties, dict) and len(properties) > MAX_PROPERTIES:
            msg = (
                f"an object of the schema has {len(properties)} properties; "
                f"the most is {MAX_PROPERTIES}"
            )
            raise GrammarInvalid(msg, hint="split it into several objects")


def check_rules(n_rules: int, text: str) -> None:
    """Refuse a grammar of too many rules and groups.

    Raises:
        GrammarInvalid: over `MAX_LEVELS`; names the number.
    """
    n = n_rules + text.count("(") + text.count("[")
    # An embedded schema is not read here: as if each reference led to the deepest.
    n += text.count("$ref") * min(text.count("{"), MAX_DEPTH)
    if n > MAX_LEVELS:
        msg = f"the grammar has {n} rules and groups; the most is {MAX_LEVELS}"
        raise GrammarInvalid(msg, hint="use fewer rules")


def _values(value: Any) -> Iterator[Any]:
    """Yield a JSON value and all that it holds; nesting is capped already."""
    yield value
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for item in inner:
            yield from _values(item)


def _references(schema: Any) -> Iterator[str]:
    for value in _values(schema):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(value, dict) and isinstance(value.get(key), str):
                yield value[key]


def _target(schema: Any, reference: str) -> Any:
    """Return what a JSON pointer leads to; anything else counts as the whole."""
    value = schema
    for part in reference.partition("#")[2].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return schema
    return value


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item) for item in inner), default=0)
