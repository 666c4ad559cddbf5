"""Text with everything in it to be seen: blanks, line ends, what has no shape."""

from __future__ import annotations

import unicodedata

# Control, format, surrogate, private use, unassigned; other separators than a space.
_SHAPELESS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SIGNS = {"\n": "⏎", "\t": "⇥", "\r": "␍"}


def visible(text: str, *, keep_lines: bool = False) -> str:
    """Return ``text`` with a sign for each character that would not show.

    A line end is ``⏎``, a tab ``⇥``; blanks are ``␣`` where there is nothing else;
    what has no shape, or reorders its neighbours, is named: ``⟨U+202E⟩``. A mark that
    would join the character before stands on a dotted circle.

    Args:
        text: Of a model, a message or a file.
        keep_lines: Put the line end itself behind its sign.
    """
    if text and not text.strip(" "):
        return "␣" * len(text)
    shown = []
    for place, character in enumerate(text):
        if character in _SIGNS:
            ends = keep_lines and character == "\n"
            shown.append(_SIGNS[character] + ("\n" if ends else ""))
            continue
        category = unicodedata.category(character)
        if category in _SHAPELESS or (category == "Zs" and character != " "):
            shown.append(f"⟨U+{ord(character):04X}⟩")
        elif not place and category in {"Mn", "Me", "Mc"}:
            shown.append(f"◌{character}")
        else:
            shown.append(character)
    return "".join(shown)


def quoted(text: str, *, limit: int = 40) -> str:
    """Return `visible` text in quotation marks, cut with ``…`` after ``limit``."""
    shown = visible(text)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return f"‘{shown}’"
