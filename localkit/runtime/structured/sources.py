"""A structure's text as a grammar that llguidance reads."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from localkit.errors import GrammarInvalid
from localkit.runtime.structured import limits
from localkit.runtime.structured.lark import to_lark

if TYPE_CHECKING:
    from localkit.runtime.params import Structure

# As llama.cpp's JSON grammar: any more, and a small model that starts a new line
# goes on with blanks until the context is full.
_WHITESPACE = r" |\n[ \t]{0,20}"
_ANY_OBJECT = {"type": "object"}
_NAMES = {
    "json": "structure",
    "json_schema": "schema",
    "regex": "regular expression",
    "choice": "list of choices",
    "gbnf": "grammar",
    "lark": "grammar",
}


def name(structure: Structure) -> str:
    """Return what messages call a structure of this kind."""
    return _NAMES.get(structure.kind, "structure")


def source(structure: Structure) -> str:
    """Return the llguidance grammar of ``structure``, as JSON.

    Raises:
        GrammarInvalid: the text is not of its kind, or over a cap.
    """
    limits.check_size(name(structure), structure.text)
    kind: str = structure.kind
    match kind:
        case "json":
            return _schema(_ANY_OBJECT)
        case "json_schema":
            return _schema(_read_json(structure))
        case "regex":
            return _lark(f"start: TEXT\nTEXT: /{_in_slashes(structure.text)}/\n")
        case "choice":
            return _lark(_choice(_read_json(structure)))
        case "gbnf":
            return _lark(to_lark(structure.text))
        case "lark":
            _check_lark(structure.text)
            return _lark(structure.text)
    msg = f"'{kind}' is no kind of structure"
    raise GrammarInvalid(msg, hint=f"give one of {', '.join(_NAMES)}")


def _lark(text: str) -> str:
    # Wrapped, because a bare text that begins with { is read as another format.
    return json.dumps({"grammars": [{"lark_grammar": text}]})


def _schema(schema: Any) -> str:
    if not isinstance(schema, dict):
        shown = json.dumps(schema)[:40]
        msg = f"the schema is {shown}, not an object"
        raise GrammarInvalid(msg, hint='any JSON object: {"type": "object"}')
    limits.check_schema(schema)
    # In place of any the caller put there: `lenient` would ignore what it cannot keep.
    options = {"whitespace_pattern": _WHITESPACE, "lenient": False}
    grammar = {"grammars": [{"json_schema": {**schema, "x-guidance": options}}]}
    try:
        return json.dumps(grammar, allow_nan=False)
    except ValueError as error:
        msg = "a number of the schema is too large for JSON"
        raise GrammarInvalid(msg, hint="numbers go up to 1.8e308") from error


def _read_json(structure: Structure) -> Any:
    what = name(structure)
    try:
        return json.loads(structure.text, parse_constant=_refuse_constant)
    except RecursionError as error:
        msg = f"the {what} is nested too deep to be read"
        raise GrammarInvalid(msg, hint="make it flatter") from error
    except ValueError as error:
        msg = f"the {what} is not JSON: {error}"
        raise GrammarInvalid(msg, hint="json.dumps(…) makes valid JSON") from error


def _refuse_constant(text: str) -> None:
    msg = f"{text} is no JSON number"
    raise ValueError(msg)


def _choice(choices: Any) -> str:
    wrong = not isinstance(choices, list) or not all(
        isinstance(choice, str) for choice in choices
    )
    if wrong or not choices:
        msg = "the choices are empty" if not wrong else "the choices are no list of str"
        raise GrammarInvalid(msg, hint='give texts: ["yes", "no"]')
    # One lexeme: a choice that begins another is then no special case.
    return "start: CHOICE\nCHOICE: " + " | ".join(
        json.dumps(choice, ensure_ascii=False) for choice in dict.fromkeys(choices)
    )


def _in_slashes(pattern: str) -> str:
    from llguidance import regex_to_lark

    # Two slashes would begin a comment.
    text: str = regex_to_lark(pattern, use_ascii="")
    return text or "(?:)"


# What may hold a `<` that is not the name of a token: texts, patterns, comments.
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*+"|//[^\n]*|/(?:[^/\\\n]|\\.)++/')


def _check_lark(text: str) -> None:
    bare = _QUOTED.sub("", text)
    if token := re.search(r"<[^>\n]{1,80}>", bare):
        msg = f"the grammar names the token {token[0]}"
        hint = "write text only; the answer's end is added where the grammar may end"
        raise GrammarInvalid(msg, hint=hint)
    if re.search(r"\btemperature\s*=", bare):
        msg = "the grammar sets a temperature, which would not be followed"
        raise GrammarInvalid(msg, hint="set it with the other sampling params")
    limits.check_rules(len(re.findall(r"^[^\n:]*:", bare, re.MULTILINE)), bare)
