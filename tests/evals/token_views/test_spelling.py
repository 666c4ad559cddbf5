from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.evals.token_views.spelling import BROKEN, Spelling, byte_alphabet, spell

if TYPE_CHECKING:
    from localkit.kit import Kit

TEXT = " the 😀 ñ שלום"


@pytest.mark.parametrize("name", ["tiny:one", "tiny:spm"])
def test_parts_of_a_character_are_bytes_and_never_half_a_character(
    engines: Kit, name: str
) -> None:
    session = engines.load(name).session
    tokens = session.tokenize(TEXT, add_special=False)
    found = spell(session, tokens)
    assert not any(BROKEN in one.shown() for one in found)
    emoji = [one for one in found if one.whole == "😀"]
    assert [one.part for one in emoji] == [(n, 4) for n in range(1, 5)]
    assert b"".join(one.raw for one in emoji) == "😀".encode()
    assert emoji[0].shown() == "⟨f0⟩"
    assert emoji[-1].shown() == "⟨80⟩😀"
    assert "".join(one.read() for one in found).replace("␣", " ").strip() == (
        TEXT.strip()
    )


def test_a_character_that_is_cut_off_is_bytes_alone(engines: Kit) -> None:
    session = engines.load("tiny:one").session
    tokens = session.tokenize("😀", add_special=False)[:2]
    found = spell(session, tokens)
    assert [one.shown() for one in found] == ["⟨f0⟩", "⟨9f⟩"]
    assert "".join(one.read() for one in found) == "⟨f0⟩⟨9f⟩"


def test_where_the_vocabulary_is_not_known_parts_are_counted(fakes: Kit) -> None:
    session = fakes.load("tiny:f16").session
    found = spell(session, list("é!".encode()))
    assert [one.shown() for one in found] == ["⟨part 1 of 2⟩", "⟨part 2 of 2⟩é", "!"]


def test_a_replacement_character_that_was_written_is_shown(engines: Kit) -> None:
    assert not Spelling(BROKEN, BROKEN.encode()).broken
    session = engines.load("tiny:one").session
    found = spell(session, session.tokenize(f"a{BROKEN}b", add_special=False))
    assert "".join(one.text for one in found if not one.broken).startswith("a")


def test_control_tokens_are_told_from_text_that_spells_them(engines: Kit) -> None:
    session = engines.load("tiny:one").session
    acting = spell(session, session.tokenize("<|im_end|>", parse_special=True))
    spelled = spell(session, session.tokenize("<|im_end|>", add_special=False))
    assert [one.control for one in acting] == [True]
    assert acting[0].text == "<|im_end|>"
    assert not any(one.control for one in spelled)
    assert "".join(one.text for one in spelled) == "<|im_end|>"


def test_an_image_is_a_mark(fakes: Kit) -> None:
    (one,) = spell(fakes.load("tiny:f16").session, [-5])
    assert one.control
    assert one.shown() == "\ufffc"


def test_every_byte_has_a_character_of_its_own() -> None:
    alphabet = byte_alphabet()
    assert sorted(alphabet.values()) == list(range(256))
    assert alphabet["Ġ"] == 32
    assert alphabet["A"] == 65


@pytest.mark.model
def test_tokens_of_a_real_vocabulary_make_up_the_text(smollm2_gguf) -> None:
    from localkit.gguf import read_info
    from localkit.runtime.llama import LlamaRuntime
    from localkit.runtime.protocol import LoadParams

    session = LlamaRuntime().load(
        read_info(smollm2_gguf), LoadParams(n_ctx=256, n_threads=1)
    )
    try:
        text = "Rivers 👩\u200d🚀 of the world: שלום, עולם 中文"
        found = spell(session, session.tokenize(text, add_special=False))
        raw = b"".join(one.raw for one in found)
    finally:
        session.close()
    assert raw.decode() == text
    assert not any(BROKEN in one.shown() for one in found)
