"""Cut text.txt from the German Debian Administrator's Handbook.

python evals/text/german/prepare.py FOLDER_OF_HTML > evals/text/german/text.txt

FOLDER_OF_HTML is `html/de-DE` of the Debian package `debian-handbook`.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

MIN_CHARACTERS = 300
"""Shorter paragraphs are mostly captions and cross-references."""
MOST_BYTES = 110_000


class Paragraphs(HTMLParser):
    """Collect the text of ``<p>`` and ``<div class="para">`` without listings."""

    def __init__(self) -> None:
        """Start outside of any paragraph."""
        super().__init__()
        self.found: list[str] = []
        self._depth = 0
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a paragraph, or go one element deeper in it."""
        if self._depth:
            self._depth += tag not in ("br", "img", "wbr")
        elif tag == "p" or (tag == "div" and ("class", "para") in attrs):
            self._depth, self._text = 1, []

    def handle_endtag(self, tag: str) -> None:
        """Close an element; the paragraph with its last one."""
        if not self._depth or tag in ("br", "img", "wbr"):
            return
        self._depth -= 1
        if not self._depth:
            self.found.append(" ".join("".join(self._text).split()))

    def handle_data(self, data: str) -> None:
        """Keep the text of a paragraph."""
        if self._depth:
            self._text.append(data)


def is_german(paragraph: str) -> bool:
    """Whether a paragraph is translated: the book is so in most places only."""
    words = paragraph.lower().split()
    german = sum(word in {"der", "die", "das", "und", "ist", "zu"} for word in words)
    english = sum(word in {"the", "of", "and", "is", "to", "a"} for word in words)
    return german > 2 * english


def main() -> None:
    """Read the folder named on the command line and write the excerpt to stdout."""
    chosen: list[str] = []
    for page in sorted(Path(sys.argv[1]).glob("sect.*.html")):
        parser = Paragraphs()
        parser.feed(page.read_text(encoding="utf-8"))
        chosen += [
            text
            for text in parser.found
            if len(text) >= MIN_CHARACTERS and is_german(text) and text not in chosen
        ]
    size = 0
    kept = []
    # Every so many, so that all chapters are there.
    step = max(1, sum(len(text.encode()) + 2 for text in chosen) // MOST_BYTES)
    for text in chosen[::step]:
        size += len(text.encode()) + 2
        if size > MOST_BYTES:
            break
        kept.append(text)
    sys.stdout.write("\n\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
