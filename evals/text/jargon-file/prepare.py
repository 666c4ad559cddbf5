"""Cut text.txt from the plain-text Jargon File 4.4.7.

python evals/text/jargon-file/prepare.py jargon.txt > evals/text/jargon-file/text.txt

With 2 behind the file's name it takes other entries, none of them in the first
text: `evals/text/calibration/text.txt`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADWORD = re.compile(r":(.+?):(?: .*)?")
INDENT = "   "
MIN_CHARACTERS = 800
"""Entries with less prose are mostly cross-references."""
EVERY = 4
"""Take every fourth of the entries left, so that all letters are represented."""
COARSE = re.compile(r"(?i)fuck|shit|\bass\b|crap|sex|porn|nazi|\bgod\b|damn|suck")
"""Entries with coarse words are left out: the text is shown in reports."""


def entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each headword of the lexicon with its blocks of lines."""
    lexicon = text.split("\nGlossary\n", 1)[1].split("Part III. Appendices", 1)[0]
    headword = ""
    blocks: list[str] = []
    for block in lexicon.split("\n\n"):
        match = HEADWORD.fullmatch(block.strip())
        if match:
            if headword:
                yield headword, blocks
            headword, blocks = match[1], []
        else:
            blocks.append(block.strip("\n"))
    yield headword, blocks


def is_prose(block: str) -> bool:
    """Say whether no line is indented further than running text."""
    return all(
        line.startswith(INDENT) and not line.startswith(INDENT + " ")
        for line in block.splitlines()
    )


def paragraph(block: str) -> str:
    """Return a block on one line, without the braces of cross-references."""
    text = " ".join(line.strip() for line in block.splitlines())
    return text.replace("{", "").replace("}", "")


def main() -> None:
    """Read the file named on the command line and write the excerpt to stdout."""
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    chosen = []
    for headword, blocks in entries(text):
        blocks = [block for block in blocks if block.strip()]
        if not blocks or not all(is_prose(block) for block in blocks):
            continue
        paragraphs = [paragraph(block) for block in blocks]
        entry = f"{headword}: " + "\n\n".join(
            part for part in paragraphs if not part.startswith("(The next cartoon")
        )
        if len(entry) >= MIN_CHARACTERS and not COARSE.search(entry):
            chosen.append(entry)
    sys.stdout.write("\n\n".join(chosen[first::EVERY]) + "\n")


if __name__ == "__main__":
    main()
