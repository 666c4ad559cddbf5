from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localkit.errors import RuntimeFailure
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams
from localkit.runtime.vocabulary import TextAssembler

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.runtime.session import LlamaSession


# The tiny model, because SmolLM2 has no token for some bytes (0x16, 0xF1).
@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200))
def test_R7_any_text_survives_the_round_trip(tiny: LlamaSession, text: str) -> None:
    tokens = tiny.tokenize(text, add_special=False)
    assert tiny.detokenize(tokens) == text


def test_R7_a_lone_surrogate_is_a_typed_error(tiny: LlamaSession) -> None:
    with pytest.raises(RuntimeFailure, match="character 1 of the text"):
        tiny.tokenize("a\ud800b")


def test_a_control_text_is_plain_text_unless_asked(tiny: LlamaSession) -> None:
    control = set(tiny.control_tokens.values())
    text = "<|im_start|>user"
    assert not control & set(tiny.tokenize(text, add_special=False))
    parsed = tiny.tokenize(text, add_special=False, parse_special=True)
    assert parsed[0] == tiny.control_tokens["<|im_start|>"]


@pytest.mark.model
def test_a_character_of_several_tokens_appears_when_it_is_whole(
    smollm2: LlamaSession,
) -> None:
    text = "🦙 und ein Ä"
    assembler = TextAssembler(smollm2._vocabulary, ())
    tokens = smollm2.tokenize(text, add_special=False)
    pieces = [assembler.add(token) for token in tokens]
    assert len(tokens) > len([piece for piece in pieces if piece])
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) + assembler.finish() == text


@pytest.mark.model
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_text_before_the_first_stop_text_is_kept_exactly(
    smollm2: LlamaSession, data: st.DataObject
) -> None:
    text = data.draw(st.text("ab<|", min_size=1, max_size=30))
    stops = data.draw(st.lists(st.text("ab<|", min_size=1, max_size=4), max_size=3))
    assembler = TextAssembler(smollm2._vocabulary, stops)
    said = ""
    for token in smollm2.tokenize(text, add_special=False):
        said += assembler.add(token)
        if assembler.stopped:
            break
    said += assembler.finish()
    cuts = [text.find(stop) for stop in stops if stop in text]
    if not cuts:
        assert said == text
    else:
        # Which of two overlapping stops is met first depends on the token borders.
        assert assembler.stopped
        assert text.startswith(said)
        assert any(text[len(said) :].startswith(stop) for stop in stops)


def test_a_session_describes_itself(tiny_gguf: Path) -> None:
    info = read_info(tiny_gguf)
    session = LlamaRuntime().load(info, LoadParams(n_ctx=512, n_threads=1))
    fingerprint = session.fingerprint
    assert fingerprint.engine.startswith("llama-cpp-python 0.3.36")
    assert (fingerprint.n_ctx, fingerprint.n_threads) == (512, 1)
    assert fingerprint.flash_attn in ("on", "off")
    assert fingerprint.backend
    assert "n_threads" not in fingerprint.numeric()
    assert session.memory.kv > 0
    assert session.memory.total == sum(session.memory.by_device.values())
    session.close()
