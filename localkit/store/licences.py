"""What the licence of a model is called, and what it allows, where that is known.

A licence is recognised by the short name that a header or manifest gives, or by the
title its text begins with. What is not recognised is not guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localkit.store.stored import StoredModel

SEE_TEXT = "see text"
_YES, _NO, _NOTICE = "yes", "no", "yes: keep the notice"
_TERMS = "yes, with its terms"
# A title stands at the beginning; the text of another licence may be quoted later.
_BEGINNING = 3000
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known about one licence."""

    name: str
    """Its SPDX identifier, or what its publisher calls it."""
    commercial: str = SEE_TEXT
    """Whether it may be used for money."""
    redistribution: str = SEE_TEXT
    """Whether it may be passed on."""
    attribution: str = SEE_TEXT
    """Whether its origin must be named."""


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence of a model."""

    terms: Terms
    text: str
    """Its text, or no more than its name."""
    origin: str
    """Where it was found: ``manifest`` or ``header``."""


def _free(name: str) -> Terms:
    return Terms(name, _YES, _YES, _NOTICE)


def _llama(version: str) -> Terms:
    named = "yes: 'Built with Llama'" if version >= "3" else _NOTICE
    return Terms(
        f"llama{version}", "yes, up to 700 million users a month", _TERMS, named
    )


_KNOWN: tuple[tuple[str, Terms], ...] = (
    (r"apache license,?\s+version 2\.0", _free("apache-2.0")),
    (r"mit license|permission is hereby granted, free of charge", _free("mit")),
    (r"bsd 3-clause|neither the name of the copyright holder", _free("bsd-3-clause")),
    (r"bsd 2-clause", _free("bsd-2-clause")),
    (r"isc license", _free("isc")),
    (r"cc0 1\.0|creative commons zero", Terms("cc0-1.0", _YES, _YES, _NO)),
    (
        r"this is free and unencumbered software",
        Terms("unlicense", _YES, _YES, _NO),
    ),
    (
        r"attribution-noncommercial-noderivatives 4\.0",
        Terms("cc-by-nc-nd-4.0", _NO, "yes, unchanged", _YES),
    ),
    (
        r"attribution-noncommercial-sharealike 4\.0",
        Terms("cc-by-nc-sa-4.0", _NO, "yes, under the same licence", _YES),
    ),
    (r"attribution-noncommercial 4\.0", Terms("cc-by-nc-4.0", _NO, _YES, _YES)),
    (
        r"attribution-sharealike 4\.0",
        Terms("cc-by-sa-4.0", _YES, "yes, under the same licence", _YES),
    ),
    (r"attribution 4\.0 international", Terms("cc-by-4.0", _YES, _YES, _YES)),
    (
        r"gnu affero general public license\s+version 3",
        Terms("agpl-3.0", _YES, "yes, with source", _NOTICE),
    ),
    (
        r"gnu lesser general public license\s+version 3",
        Terms("lgpl-3.0", _YES, "yes, with source", _NOTICE),
    ),
    (
        r"gnu general public license\s+version 3",
        Terms("gpl-3.0", _YES, "yes, with source", _NOTICE),
    ),
    (r"llama 4 community license", _llama("4")),
    (r"llama 3\.3 community license", _llama("3.3")),
    (r"llama 3\.2 community license", _llama("3.2")),
    (r"llama 3\.1 community license", _llama("3.1")),
    (r"llama 3 community license", _llama("3")),
    (r"llama 2 community license", _llama("2")),
    (
        r"gemma terms of use",
        Terms("gemma", "yes, within its use policy", _TERMS, "yes: a notice"),
    ),
    (r"mistral ai non-production license", Terms("mnpl", _NO)),
    (r"mistral ai research license", Terms("mrl", _NO)),
    (r"qwen research license", Terms("qwen-research", _NO)),
    (r"tongyi qianwen license|qwen license agreement", Terms("qwen")),
    (r"deepseek license agreement", Terms("deepseek")),
    (r"openrail|responsible ai license", Terms("openrail")),
    (r"falcon .{0,30}licen[sc]e", Terms("falcon-llm")),
    (r"nvidia open model license", Terms("nvidia-open-model")),
    (r"yi series models .{0,40}license", Terms("yi")),
    (r"exaone ai model license", Terms("exaone")),
)

# As Hugging Face writes them, where that is not the name above.
_SPELLED = {
    "apache 2.0": "apache-2.0",
    "apache2": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "agpl-3.0-only": "agpl-3.0",
    "agpl-3.0-or-later": "agpl-3.0",
    "gpl-3.0-only": "gpl-3.0",
    "gpl-3.0-or-later": "gpl-3.0",
    "lgpl-3.0-only": "lgpl-3.0",
    "lgpl-3.0-or-later": "lgpl-3.0",
    "bigscience-openrail-m": "openrail",
    "creativeml-openrail-m": "openrail",
    "openrail++": "openrail",
    "tongyi-qianwen": "qwen",
    "llama-3": "llama3",
}
_BY_NAME = {terms.name: terms for _, terms in _KNOWN}


def terms_of(text: str) -> Terms | None:
    """Return what is known about a licence, by its name or its text."""
    text = text.strip()
    if len(text) <= _LONGEST_NAME and "\n" not in text:
        name = text.lower()
        found = _BY_NAME.get(_SPELLED.get(name, name))
        if found is not None:
            return found
    beginning = " ".join(text[:_BEGINNING].lower().split())
    places = (
        (match.start(), terms)
        for pattern, terms in _KNOWN
        if (match := re.search(pattern, beginning))
    )
    return min(places, key=lambda found: found[0], default=(0, None))[1]


def licences_of(stored: StoredModel) -> tuple[Licence, ...]:
    """Return every licence of a model; none where nothing is stated.

    The header's counts where the manifest has none.

    Raises:
        ManifestInvalid, BlobCorrupt: a layer is damaged.
    """
    if stored.licences:
        return tuple(_licence(text, "manifest") for text in stored.licences)
    stated = stored.info.licence
    return () if not stated else (_licence(stated, "header"),)


def _licence(text: str, origin: str) -> Licence:
    return Licence(terms_of(text) or Terms(_first_line(text)), text, origin)


def _first_line(text: str) -> str:
    """Return what an unknown licence calls itself."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = " ".join(line.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
