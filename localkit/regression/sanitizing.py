"""What of our outputs differs from run to run, as nbval's sanitizer file names it.

Each rule is a ``regex:`` line and a ``replace:`` line; nbval applies them in order, to
saved and fresh text alike. Names, texts and counts of tokens stay: they are compared.
Data frames of speeds are not covered, since their cells say no unit: tag those
``nbval-ignore-output``.
"""

from __future__ import annotations

import re

_NUMBER = r"\d[\d,]*(?:\.\d+)?"

RULES: tuple[tuple[str, str, str], ...] = (
    ("digests", r"sha256:[0-9a-f]{6,64}…?", "DIGEST"),
    ("short ids", r"\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12}\b", "ID"),
    ("ids of runs", r"\b(?=[a-f]*[0-9])[0-9a-f]{8}\b", "RUN"),
    (
        "answers that were kept",
        r" · from the cache, made [^;]*; --fresh asks again",
        "",
    ),
    (
        "times of day",
        r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
        r"(?:Z|[+-]\d\d:?\d\d)?)?",
        "DATE",
    ),
    (
        "speeds",
        rf"{_NUMBER}(?: ?± ?{_NUMBER})? ?(?:tok|samples|items|B|[KMGT]i?B)/s",
        "SPEED",
    ),
    ("speeds in results", r"('\w+_per_s': )(?:[\d.e+-]+|None)", r"\1SPEED"),
    (
        "durations",
        rf"\b{_NUMBER} (?:ns|\u00b5s|ms|s|min|h|seconds?|minutes?|hours?)\b"
        r"(?: \d+ (?:ms|s|min)\b)*",
        "TIME",
    ),
    ("durations in results", r"('\w+_s': )[\d.e+-]+", r"\1TIME"),
    ("sizes", rf"\b{_NUMBER} (?:B|[KMGT]i?B)\b", "SIZE"),
    (
        "speeds of what is loaded",
        r"\b[\d.,]+((?:<[^<>]*>|[ \t])+(?:loading|waits|unload|stays|in use))",
        r"SPEED\1",
    ),
    ("drawn seeds", r"('seed': )\d+", r"\1SEED"),
    ("threads", r"('n_threads': )\d+", r"\1N"),
    ("machines", r"('(?:device|features)': )'[^']*'", r"\1MACHINE"),
    ("memory reused", r" \(\d+ reused\)", ""),
    (
        "what a pull found",
        r"\((?:hard link|reflink|copied|new file|was there)[^)]*\)",
        "(HOW)",
    ),
    ("what quantize found", r"\b(?:was there|made)\b", "HOW"),
    ("shares of the work done", r"[█░]{2,}", "BAR"),
    # A shorter number moves the columns beside it.
    ("widths of columns", r"[ \t]{2,}", "  "),
    ("lines under headers", r"-{2,}(?:  -+)*", "--"),
    ("lines of dictionaries", r",\n +'", ", '"),
    ("blanks at line ends", r"[ \t]+(?=\n|\Z)", ""),
)
"""Title, pattern and replacement."""


def nbval_config() -> str:
    """Return the file: ``pytest --nbval --nbval-sanitize-with FILE``."""
    parts = [
        "# What localkit shows and what differs from run to run.",
        "# pytest --nbval --nbval-sanitize-with FILE notebooks/",
    ]
    for title, pattern, replacement in RULES:
        parts += ["", f"[{title}]", f"regex: {pattern}", f"replace: {replacement}"]
    return "\n".join(parts) + "\n"


def sanitized(text: str) -> str:
    """Return what nbval compares of ``text`` under these rules."""
    for _, pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return text
