"""Make texts comparable: case, punctuation, articles, whitespace."""

from __future__ import annotations

import string
import unicodedata

import regex

# Words of these are written without spaces between them.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)
_ARTICLES = regex.compile(r"\b(a|an|the)\b")
_QUOTES = str.maketrans("‘’“”", "''\"\"")
ASCII_PUNCTUATION = frozenset(string.punctuation)


def normalise(
    text: str,
    *,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_articles: bool = False,
) -> str:
    """Return ``text`` in the one form that equal answers share.

    Always: composed characters (NFC), straight quotes, single spaces, none at the
    ends. Punctuation is that of ASCII and Unicode's category P. Articles are those
    of English.
    """
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    if ignore_case:
        text = text.casefold()
    if ignore_punctuation:
        text = "".join(one for one in text if not _is_punctuation(one))
    if ignore_articles:
        text = _ARTICLES.sub(" ", text)
    return " ".join(text.split())


def squad_normalise(text: str) -> str:
    """Return ``text`` as the SQuAD 1.1 script normalises answers.

    Lower case, ASCII punctuation removed, articles removed, single spaces, in this
    order (``normalize_answer`` of evaluate-v1.1.py, Rajpurkar et al. 2016).
    """
    text = "".join(one for one in text.lower() if one not in ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def strip_punctuation(text: str) -> str:
    """Return ``text`` without punctuation at its ends, unless nothing is left."""
    start, end = 0, len(text)
    while start < end and (_is_closing(text[start]) or text[start].isspace()):
        start += 1
    while end > start and (_is_closing(text[end - 1]) or text[end - 1].isspace()):
        end -= 1
    return text[start:end] or text


def find_words(text: str, words: str) -> list[int]:
    """Return where ``words`` begin in ``text``, as whole words.

    A letter or digit beside them spoils it, except in scripts that write words
    without spaces.
    """
    if not words:
        return []
    found = []
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        before = text[at - 1] if at else ""
        after = text[end : end + 1]
        if not _joined(before, words[0]) and not _joined(words[-1], after):
            found.append(at)
        at = text.find(words, at + 1)
    return found


def _joined(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word."""
    if not left or not right:
        return False
    word = all(one.isalnum() or one == "_" for one in (left, right))
    return word and not (_UNSPACED.match(left) or _UNSPACED.match(right))


def _is_punctuation(one: str) -> bool:
    return one in ASCII_PUNCTUATION or unicodedata.category(one).startswith("P")


def _is_closing(one: str) -> bool:
    # Signs that mean something at the end of a word stay: C++, 50%, $5, #1.
    return one in ".,;:!?\"'`*_()[]{}" or unicodedata.category(one) in ("Pi", "Pf")
