"""Checks of an answer's form that a program can verify, after IFEval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import regex

from localkit.evals.scorers.json_text import read_json
from localkit.evals.scorers.normalising import find_words, normalise

Check = Callable[[str, Mapping[str, Any]], bool]

_SENTENCE_END = regex.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[\u3002\uff01\uff1f]")
# Ideographic full stop, and the wide exclamation and question marks, end one too.
_COMMA = regex.compile(r"[,\uff0c\u3001\u060c]")
_BULLET = regex.compile(r"^[ \t]*+(?:[-*+•]|\d{1,3}[.)])[ \t]++\S", regex.MULTILINE)
_PLACEHOLDER = regex.compile(r"\[[^\[\]\n]+\]")
_HEADING = regex.compile(r"^#{1,6} +\S", regex.MULTILINE)
_TITLE = regex.compile(r"<<[^<>\n]+>>")


class CheckInvalid(ValueError):
    """A check is unknown or lacks what it needs."""


class Known(NamedTuple):
    """What a check does, the options it needs, and those it may have."""

    run: Check
    needed: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()


def count_sentences(text: str) -> int:
    """Return how many sentences end in ``text``; one left open at its end counts."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return len(ends) + bool(rest.strip())


def count_paragraphs(text: str) -> int:
    """Return how many blocks of text blank lines part."""
    return sum(bool(one.strip()) for one in regex.split(r"\n\s*\n", text))


def passes(text: str, check: Mapping[str, Any]) -> bool:
    """Return whether ``text`` meets a check: ``{"type": …}`` and its options.

    Raises:
        CheckInvalid: there is no such check, or an option is missing or unknown.
    """
    kind = check.get("type")
    if not isinstance(kind, str) or kind not in CHECKS:
        msg = f"there is no check '{kind}'; there are {', '.join(sorted(CHECKS))}"
        raise CheckInvalid(msg)
    run, needed, allowed = CHECKS[kind]
    given = check.keys() - {"type"}
    if not needed <= given <= needed | allowed or not given >= needed:
        has = ", ".join(sorted(needed | allowed)) or "no options"
        msg = f"check '{kind}' takes {has}, not {', '.join(sorted(given)) or 'none'}"
        raise CheckInvalid(msg)
    if allowed == _BOUNDS and not given & _BOUNDS:
        msg = f"check '{kind}' has no bound: give at_least, at_most or exactly"
        raise CheckInvalid(msg)
    try:
        return run(text, check)
    except (TypeError, AttributeError) as error:
        msg = f"check '{kind}' has an option of the wrong type"
        raise CheckInvalid(msg) from error


_BOUNDS = frozenset({"at_least", "at_most", "exactly"})


def _within(count: int, check: Mapping[str, Any]) -> bool:
    exactly = check.get("exactly")
    if exactly is not None and count != int(exactly):
        return False
    at_most = check.get("at_most")
    return count >= int(check.get("at_least", 0)) and (
        at_most is None or count <= int(at_most)
    )


def _list(value: object) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError
    return values


def _bare(text: str) -> str:
    return normalise(text, ignore_case=True).rstrip(".")


def _has(text: str, word: object) -> bool:
    return bool(_times(text, word))


def _times(text: str, word: object) -> int:
    if not isinstance(word, str) or not word.strip():
        raise TypeError
    said = normalise(text, ignore_case=True)
    return len(find_words(said, normalise(word, ignore_case=True)))


def _is_json(text: str, check: Mapping[str, Any]) -> bool:
    del check
    try:
        read_json(text, fenced=True)
    except ValueError:
        return False
    return True


def _quoted(text: str, check: Mapping[str, Any]) -> bool:
    del check
    inner = text.strip()
    return len(inner) > 1 and inner[0] in '"“„' and inner[-1] in '"”“'


def _counted(count: Callable[[str], int]) -> Known:
    return Known(lambda text, check: _within(count(text), check), allowed=_BOUNDS)


def _plain(run: Check, *needed: str) -> Known:
    return Known(run, needed=frozenset(needed))


CHECKS: Mapping[str, Known] = {
    "words": _counted(lambda text: len(text.split())),
    "characters": _counted(lambda text: len(text.strip())),
    "sentences": _counted(count_sentences),
    "paragraphs": _counted(count_paragraphs),
    "lines": _counted(lambda text: sum(bool(x.strip()) for x in text.splitlines())),
    "bullets": _counted(lambda text: len(_BULLET.findall(text))),
    "headings": _counted(lambda text: len(_HEADING.findall(text))),
    "placeholders": _counted(lambda text: len(_PLACEHOLDER.findall(text))),
    "contains": _plain(
        lambda text, check: all(_has(text, one) for one in _list(check["words"])),
        "words",
    ),
    "forbids": _plain(
        lambda text, check: not any(_has(text, one) for one in _list(check["words"])),
        "words",
    ),
    "frequency": Known(
        lambda text, check: _within(_times(text, check["word"]), check),
        needed=frozenset({"word"}),
        allowed=_BOUNDS,
    ),
    "starts_with": _plain(
        lambda text, check: normalise(text).startswith(normalise(check["text"])),
        "text",
    ),
    "ends_with": _plain(
        lambda text, check: normalise(text).endswith(normalise(check["text"])), "text"
    ),
    "lower_case": _plain(lambda text, _: text == text.lower() and text.upper() != text),
    "upper_case": _plain(lambda text, _: text == text.upper() and text.lower() != text),
    "no_commas": _plain(lambda text, _: not _COMMA.search(text)),
    "json": _plain(_is_json),
    "title": _plain(lambda text, _: bool(_TITLE.search(text))),
    "quoted": _plain(_quoted),
    "one_of": _plain(
        lambda text, check: _bare(text) in map(_bare, _list(check["texts"])),
        "texts",
    ),
}
"""By name; those with bounds take `at_least`, `at_most` and `exactly`."""
