"""The form of an answer, as options say it: schema, choices, pattern or grammar."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localkit.chat.parsing import class_of
from localkit.cli.files import complete_names_and_files, read_text
from localkit.cli.names import complete_names, find, is_name
from localkit.cli.shorthand import schema_of
from localkit.errors import SourceNotFound, UsageError
from localkit.runtime.protocol import Structure

if TYPE_CHECKING:
    from collections.abc import Callable

_HINT = (
    "give a JSON Schema, its file, 'json', fields such as 'name, age int', or in a "
    "notebook the name of a pydantic class or dict"
)
_NONE = object()


def _is_form(value: object) -> bool:
    return class_of(value) is not None or isinstance(value, Mapping)


def _is_choices(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(one, str) for one in value
    )


FORM_OPTIONS = (
    click.option(
        "--schema",
        metavar="FORM",
        shell_complete=complete_names_and_files(_is_form, ".json"),
        help="Form of the answer: fields ('name, age int, tags list[str]'), a JSON "
        "Schema or its file, a pydantic class or dict of the notebook, or 'json' for "
        "any object.",
    ),
    click.option(
        "--choices",
        metavar="A,B,…",
        shell_complete=complete_names(_is_choices),
        help="The answer is one of these, or of a list of the notebook.",
    ),
    click.option(
        "--regex",
        metavar="PATTERN",
        help="The answer fits this regular expression, from its first character to "
        "its last.",
    ),
    click.option(
        "--grammar",
        metavar="FILE|TEXT",
        shell_complete=complete_names_and_files(lambda _: False, ".gbnf"),
        help="The answer fits this GBNF grammar.",
    ),
)
"""They exclude each other."""


def take_form(kwargs: dict[str, Any], names: Mapping[str, object]) -> object:
    """Move the options out of ``kwargs``; return what ``structure=`` takes, or None.

    Raises:
        UsageError: two are given, or one cannot be read.
    """
    readers: dict[str, Callable[[str, Mapping[str, object]], object]] = {
        "schema": _schema,
        "choices": _choices,
        "regex": _regex,
        "grammar": _grammar,
    }
    texts = {name: kwargs.pop(name) for name in readers}
    given = [name for name, text in texts.items() if text is not None]
    if len(given) > 1:
        listed = " and ".join(f"--{name}" for name in given)
        msg = f"{listed} are given, and an answer has one form"
        raise UsageError(msg, hint="leave out all but one")
    return readers[given[0]](texts[given[0]], names) if given else None


def _schema(text: str, names: Mapping[str, object]) -> object:
    if text == "json":
        return Structure("json")
    if text.lstrip().startswith("{"):
        return Structure("json_schema", text)
    value = find(text, names, _NONE)
    if value is not _NONE:
        if _is_form(value):
            return value
        msg = f"--schema names {text}, which is a {type(value).__name__}"
        raise UsageError(
            msg, hint="name a pydantic class, or a dict with a JSON Schema"
        )
    # One bare word is no form of one field: it is a name or file that is not there.
    if is_name(text) or _may_be_path(text):
        return Structure("json_schema", _file(text, what="schema", hint=_HINT))
    return schema_of(text)


def _choices(text: str, names: Mapping[str, object]) -> object:
    value = find(text, names, _NONE)
    if value is not _NONE and _is_choices(value):
        choices = list(value)  # type: ignore[call-overload] # a list or tuple
    else:
        choices = [one.strip() for one in text.split(",") if one.strip()]
    if len(set(choices)) < 2 or len(set(choices)) < len(choices):
        msg = f"--choices is {text[:60]!r}, which is not two or more different texts"
        raise UsageError(msg, hint="write --choices yes,no or name a list of texts")
    return choices


def _regex(text: str, _names: Mapping[str, object]) -> object:
    if not text:
        msg = "--regex is empty"
        raise UsageError(msg, hint="give a pattern, such as --regex '[0-9]{4}'")
    return Structure("regex", text)


def _grammar(text: str, _names: Mapping[str, object]) -> object:
    if "::=" not in text:
        hint = 'give a GBNF grammar, such as --grammar \'root ::= "yes" | "no"\''
        text = _file(text, what="grammar", hint=hint)
    return Structure("gbnf", text)


def _may_be_path(text: str) -> bool:
    one_word = not re.search(r"[\s,:\[]", text)
    return os.path.isfile(text) or (one_word and re.search(r"[/\\.]", text) is not None)


def _file(name: str, *, what: str, hint: str) -> str:
    try:
        return read_text(Path(name), what=what)
    except SourceNotFound as error:
        msg = f"there is no {what} to read in {name[:60]!r}: {error}"
        raise UsageError(msg, hint=hint) from error
