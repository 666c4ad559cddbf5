from __future__ import annotations

import pytest

from localkit.store.licences import SEE_TEXT, terms_of

TEXTS = {
    "apache-2.0": """
                                 Apache License
                           Version 2.0, January 2004
                        http://www.apache.org/licenses/
""",
    "mit": "MIT License\n\nCopyright (c) Microsoft Corporation.\n\nPermission is here",
    "llama2": "LLAMA 2 COMMUNITY LICENSE AGREEMENT\t\nLlama 2 Version Release Date",
    "llama3": "META LLAMA 3 COMMUNITY LICENSE AGREEMENT\n\nMeta Llama 3 Version",
    "llama3.1": "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release",
    "llama3.2": "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\nLlama 3.2 Version Release",
    "gemma": "Gemma Terms of Use \n\nLast modified: February 21, 2024",
    "cc-by-nc-4.0": "Creative Commons Attribution-NonCommercial 4.0 International",
    "cc-by-sa-4.0": "Attribution-ShareAlike 4.0 International\n\n====",
    "cc-by-4.0": "Attribution 4.0 International\n\n====",
    "gpl-3.0": "GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007",
    "agpl-3.0": "GNU AFFERO GENERAL PUBLIC LICENSE\n  Version 3, 19 November 2007",
    "mrl": "# Mistral AI Research License\n\nIf You want to use",
    "qwen-research": "Qwen RESEARCH LICENSE AGREEMENT\n\nQwen RESEARCH LICENSE",
    "qwen": "Tongyi Qianwen LICENSE AGREEMENT\n\nTongyi Qianwen Release Date",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_licence_is_known_by_the_title_of_its_text(name: str) -> None:
    found = terms_of(TEXTS[name] + "\nwords " * 5000 + "MIT License")
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", TEXTS)
def test_a_licence_is_known_by_its_name(name: str) -> None:
    found = terms_of(name.upper())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("text", ["", "other", "proprietary", "mitten", "All mine."])
def test_what_is_not_known_is_not_guessed(text: str) -> None:
    assert terms_of(text) is None


def test_a_licence_quoted_later_does_not_count() -> None:
    found = terms_of("Gemma Terms of Use\n\nSome files are under the MIT License.")
    assert found is not None
    assert found.name == "gemma"


def test_only_what_is_known_is_claimed() -> None:
    research = terms_of(TEXTS["mrl"])
    assert research is not None
    assert research.commercial == "no"
    assert research.redistribution == SEE_TEXT
    assert terms_of("cc-by-nc-4.0").commercial == "no"  # type: ignore[union-attr]
