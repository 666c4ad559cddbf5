"""Tokens as text that can be shown, also those that are a part of a character.

A session gives text alone. A token that holds part of a character's bytes is text
only together with its neighbours; what bytes it holds stands in the GGUF's vocabulary.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import GGUFError
from localkit.gguf.fields import Fields
from localkit.gguf.reader import read_header
from localkit.render.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.runtime.protocol import Session

BROKEN = "\ufffd"
MOST_PARTS = 8
"""Tokens that one character may be cut into; UTF-8 has four bytes a character, and
joined emoji several characters."""
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Spelling(NamedTuple):
    """How one token is written."""

    text: str
    """Its own text; U+FFFD in it where it is part of a character."""
    raw: bytes | None
    """Its bytes; None where they are not known."""
    control: bool = False
    """Whether it is a control or user-defined token: a mark, not a text."""
    part: tuple[int, int] = (1, 1)
    """(which, of how many) tokens that make up `whole`."""
    whole: str = ""
    """The text that the parts make together; empty for a token that is whole, and
    for parts whose others never came."""

    @property
    def broken(self) -> bool:
        """Whether it is no text by itself; a U+FFFD that was written is one."""
        return BROKEN in self.text and self.text.encode() != self.raw

    def shown(self, *, keep_lines: bool = False) -> str:
        """Return the token for people: text, bytes, and what the last part completes.

        Never half a character.
        """
        if not self.broken:
            return visible(self.text, keep_lines=keep_lines) or "∅"
        part, n_parts = self.part
        if self.raw is not None:
            told = f"⟨{self.raw.hex(' ')}⟩"
        else:
            told = f"⟨part {part} of {n_parts}⟩" if n_parts > 1 else "⟨part⟩"
        if self.whole and part == n_parts:
            told += visible(self.whole, keep_lines=keep_lines)
        return told

    def read(self, *, keep_lines: bool = False) -> str:
        """Return what the token adds to a text: no bytes of what becomes whole."""
        if not self.whole:
            return self.shown(keep_lines=keep_lines)
        last = self.part[0] == self.part[1]
        return visible(self.whole, keep_lines=keep_lines) if last else ""


def spell(
    session: Session, tokens: Sequence[int], *, speller: Speller | None = None
) -> list[Spelling]:
    """Return how each of ``tokens``, which follow each other, is written."""
    speller = speller or Speller(session)
    alone = [speller.one(token) for token in tokens]
    found = list(alone)
    at = 0
    while at < len(tokens):
        if not alone[at].broken or tokens[at] < 0:
            at += 1
            continue
        end = _end_of_character(speller, tokens, at)
        whole = speller.text(tokens[at:end]) if end else ""
        n_parts = end - at if end else 1
        parts = alone[at : at + n_parts]
        raw = b"".join(one.raw or b"" for one in parts)
        told = not whole or raw.decode(errors="replace") == whole
        for place, one in enumerate(parts):
            found[at + place] = one._replace(
                raw=one.raw if told else None, part=(place + 1, n_parts), whole=whole
            )
        at += n_parts
    return found


def _end_of_character(speller: Speller, tokens: Sequence[int], start: int) -> int:
    """Return where the character that begins at ``start`` ends; 0: it never does."""
    for end in range(start + 2, min(start + MOST_PARTS, len(tokens)) + 1):
        if tokens[end - 1] < 0:
            return 0
        if BROKEN not in speller.text(tokens[start:end]):
            return end
    return 0


class Speller:
    """Spells tokens of one session one by one, and remembers them."""

    def __init__(self, session: Session) -> None:
        """Learn which tokens are marks."""
        self._session = session
        self._controls = {token: text for text, token in session.control_tokens.items()}
        # Behind another token: a tokenizer may drop the space that a text begins with.
        ahead = session.tokenize("a", add_special=False)
        self._ahead = ahead[-1:]
        self._n_ahead = len(session.detokenize(self._ahead, special=True))
        self._known: dict[int, Spelling] = {}

    def one(self, token: int) -> Spelling:
        """Return how a token is written by itself."""
        if token not in self._known:
            self._known[token] = self._spelled(token)
        return self._known[token]

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens behind another one."""
        whole = self._session.detokenize([*self._ahead, *tokens], special=True)
        return whole[self._n_ahead :]

    def _spelled(self, token: int) -> Spelling:
        if token < 0:  # an image: the number means nothing elsewhere
            return Spelling("\ufffc", None, control=True)
        control = token in self._controls
        text = self.text([token]) or self._controls.get(token, "")
        if BROKEN not in text:
            return Spelling(text, text.encode("utf-8", "replace"), control)
        info = self._session.info
        raw = None
        if info.n_vocab == self._session.n_vocab:  # else it is not of this file
            raw = _bytes_of(info.path, info.vocab_digest, token)
        if raw is not None and raw.decode(errors="replace") != text:
            raw = None
        return Spelling(text, raw, control)


def _bytes_of(path: Path, vocab_digest: str, token: int) -> bytes | None:
    """Return the bytes that a token stands for; None where the file does not tell."""
    kind, texts = _vocabulary(path, vocab_digest)
    if not 0 <= token < len(texts):
        return None
    text = texts[token].decode(errors="replace")
    byte = _BYTE_TOKEN.fullmatch(text)
    if byte:
        return bytes([int(byte[1], 16)])
    if kind != "gpt2":
        return None
    alphabet = byte_alphabet()
    if not all(character in alphabet for character in text):
        return None
    return bytes(alphabet[character] for character in text)


@lru_cache(maxsize=2)
def _vocabulary(path: Path, _vocab_digest: str) -> tuple[str, tuple[bytes, ...]]:
    """Return the tokenizer's kind and its tokens; 0.1 s for 49k of them."""
    try:
        fields = Fields(read_header(path).kv)
        kind = fields.text("tokenizer.ggml.model", "")
        return kind, fields.texts("tokenizer.ggml.tokens")
    except (GGUFError, OSError):  # the model is loaded; its file may be gone since
        return "", ()


@lru_cache(maxsize=1)
def byte_alphabet() -> dict[str, int]:
    """Return the byte behind each character of a GPT-2 vocabulary.

    Source: ``bytes_to_unicode`` of OpenAI's GPT-2, encoder.py.
    """
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    alphabet = {chr(byte): byte for byte in shown}
    return alphabet | {chr(256 + place): byte for place, byte in enumerate(hidden)}
