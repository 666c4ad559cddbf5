"""The grammar of a Modelfile: instructions with values, and back to text.

As Ollama's ``parser/parser.go``::

    # a comment: a line of its own
    INSTRUCTION value                in capitals or not
    PARAMETER name value
    MESSAGE role value

    value    the rest of the line, without blanks around it
             in one or three double quotes it keeps blanks and may go on over lines;
             it ends where a line ends in the same quotes. There are no escapes.

Stricter in three points, each of which loses text in Ollama: bytes that are not
UTF-8 (or UTF-16 with its mark) and control characters are refused, where it drops
them; so is an instruction without a value. What it cannot print, such as a
no-break space, stays, and is dropped there.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import NoReturn

from localkit.errors import ModelfileInvalid

MAX_SIZE = 4 << 20
"""Bytes, or characters, of a Modelfile."""

COMMANDS = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")
_KEYED = {"parameter": "a name", "message": "a role"}

_QUOTES = ('"""', '"')
_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANKS = re.compile(r"[ \t]*")
_WORD = re.compile(r"[^ \t\r\n]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Modelfile."""

    command: str
    """In lower case: one of `COMMANDS`."""
    value: str
    key: str = ""
    """Name of a parameter, or role of a message."""
    line: int = 0
    """Where it begins, counted from 1; 0 when it was not read."""


def decode(data: bytes) -> str:
    """Return the text of a Modelfile: UTF-8, or UTF-16 with its byte order mark.

    Raises:
        ModelfileInvalid: it is too long, or another encoding.
    """
    if len(data) > MAX_SIZE:
        raise _too_long()
    marked = [(mark, name) for mark, name in _MARKS if data.startswith(mark)]
    mark, encoding = marked[0] if marked else (b"", "utf-8")
    data = data[len(mark) :]
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, "replace").count("\n") + 1
        raise ModelfileInvalid(
            f"(line {line}): byte {data[error.start]:#04x} is not {encoding.upper()}",
            hint="save the Modelfile as UTF-8",
            line=line,
        ) from error


def read(text: str) -> list[Instruction]:
    """Return the instructions of a Modelfile, in order.

    Raises:
        ModelfileInvalid: it breaks the grammar; names the line.
    """
    if len(text) > MAX_SIZE:
        raise _too_long()
    return list(_Reader(text.removeprefix("\ufeff")).instructions())


def written(instruction: Instruction) -> str:
    """Return an instruction as a line, or several, that `read` reads back.

    Raises:
        ModelfileInvalid: no quotes keep its value as it is.
    """
    words = [instruction.command.upper()]
    if instruction.key:
        words.append(instruction.key)
    value = instruction.value
    quotes = _QUOTES if "\n" in value else reversed(_QUOTES)
    for text in (value, *(f"{quote}{value}{quote}" for quote in quotes)):
        if _reads_as(text, value):
            return " ".join([*words, text])
    raise ModelfileInvalid(
        f"{' '.join(words)} cannot be written: a line of it ends in quotes, or it "
        "holds a control character, and a Modelfile has no escapes",
        hint="copy the model with `cp`, or create it with keyword arguments",
    )


def _reads_as(text: str, value: str) -> bool:
    try:
        found, end = _Reader(text).value(0, "it", 1)
    except ModelfileInvalid:
        return False
    return found == value and end == len(text)


class _Reader:
    """One text, read from the start to the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            text.encode()
        except UnicodeEncodeError as error:
            self._fail(error.start, "half a surrogate pair", "save it as UTF-8")
        if found := _CONTROL.search(text):
            self._fail(
                found.start(),
                f"control character U+{ord(found[0]):04X}",
                "take it out: it would not reach the model",
            )

    def instructions(self) -> list[Instruction]:
        found = []
        at, line = 0, 1
        while at < len(self._text):
            at = self._after_blanks(at)
            if self._at_line_end(at):
                at, line = self._after_line(at), line + 1
                continue
            if self._text[at] == "#":
                at = self._line_end(at)
                continue
            begins = line
            word, at = self._word(at)
            command = word.lower()
            if command not in COMMANDS:
                commands = ", ".join(f'"{one}"' for one in COMMANDS[:-1])
                self._refuse(
                    begins,
                    f'command must be one of {commands}, or "{COMMANDS[-1]}"',
                    f'it is \'{word[:60]}\'; a text over several lines needs """',
                )
            key = ""
            if command in _KEYED:
                at = self._after_blanks(at)
                key, at = self._word(at)
                if not key:
                    self._refuse(begins, f"{word} has no value", _form(command))
            if command == "message" and key not in ROLES:
                roles = 'one of "system", "user", or "assistant"'
                self._refuse(begins, f"message role must be {roles}", _form(command))
            value, end = self.value(at, word if not key else f"{word} {key}", begins)
            found.append(Instruction(command, value, key, begins))
            line += len(_LINE_END.findall(self._text, at, end))
            at = end
        return found

    def value(self, at: int, name: str, line: int) -> tuple[str, int]:
        """Return the value that begins behind ``at``, and where its line ends."""
        at = self._after_blanks(at)
        quote = next((one for one in _QUOTES if self._text.startswith(one, at)), "")
        end = self._line_end(at)
        if not quote:
            text = self._text[at:end].strip()
            if not text:
                self._refuse(line, f"{name} has no value", 'write "" for an empty one')
            return text, end
        start = at
        while True:
            last = self._text[at:end].rstrip()
            closed = at + len(last)
            if last.endswith(quote) and closed - start >= 2 * len(quote):
                return self._text[start + len(quote) : closed - len(quote)], end
            if end == len(self._text):
                self._refuse(
                    line,
                    f"the quotes after {name} are never closed",
                    f"end a line with {quote}",
                )
            at = self._after_line(end)
            end = self._line_end(at)

    def _after_blanks(self, at: int) -> int:
        found = _BLANKS.match(self._text, at)
        return at if found is None else found.end()

    def _word(self, at: int) -> tuple[str, int]:
        found = _WORD.match(self._text, at)
        return ("", at) if found is None else (found[0], found.end())

    def _at_line_end(self, at: int) -> bool:
        return at == len(self._text) or self._text[at] in "\r\n"

    def _line_end(self, at: int) -> int:
        found = _LINE_END.search(self._text, at)
        return len(self._text) if found is None else found.start()

    def _after_line(self, at: int) -> int:
        found = _LINE_END.match(self._text, at)
        return at + 1 if found is None else found.end()

    def _fail(self, at: int, what: str, hint: str) -> NoReturn:
        line = len(_LINE_END.findall(self._text, 0, at)) + 1
        self._refuse(line, what, hint)

    def _refuse(self, line: int, what: str, hint: str) -> NoReturn:
        raise ModelfileInvalid(f"(line {line}): {what}", hint=hint, line=line)


def _form(command: str) -> str:
    return f"write {command.upper()}, {_KEYED[command]}, and the value on one line"


def _too_long() -> ModelfileInvalid:
    return ModelfileInvalid(
        f"the Modelfile is larger than {MAX_SIZE >> 20} MiB",
        hint="name weights by their path; texts have to fit",
    )
