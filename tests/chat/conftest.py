"""Sessions to make prompts for: a fake one, a tiny one of llama.cpp, the real one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from localkit.gguf import read_header, read_info
from localkit.runtime.fake import FakeRuntime, FakeSession
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams
from tests.fixtures.gguf import INT32, tiny_llama, write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from localkit.gguf import ModelInfo
    from localkit.runtime.protocol import Session

_SMALL = LoadParams(n_ctx=256, n_batch=256, n_ubatch=256, n_seq_max=1, n_threads=1)
_USER_DEFINED = 4


@pytest.fixture(scope="session")
def tiny_info(tiny_gguf: Path) -> ModelInfo:
    return read_info(tiny_gguf)


@pytest.fixture
def fake_session(tiny_info: ModelInfo) -> Callable[[str | None], FakeSession]:
    """Return what makes a fake session with a given chat template."""

    def make(template: str | None) -> FakeSession:
        info = replace(tiny_info, chat_template=template)
        return FakeRuntime().load(info, LoadParams())

    return make


@pytest.fixture(scope="session")
def tiny_session(tiny_info: ModelInfo) -> Iterator[Session]:
    """Yield a session over the tiny BPE model: three control tokens."""
    session = LlamaRuntime().load(tiny_info, _SMALL)
    yield session
    session.close()


@pytest.fixture(scope="session")
def spm_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Yield a session over a SentencePiece model that begins texts with BOS."""
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    session = LlamaRuntime().load(
        read_info(write_tiny_llama(path, vocab="spm")), _SMALL
    )
    yield session
    session.close()


@pytest.fixture(scope="session")
def thinking_session(
    tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """Yield a session whose ``<think>`` tags and ``<table>`` are user-defined."""
    kv: Mapping[str, Any] = read_header(tiny_gguf).kv
    # In place of the last three merged tokens, which no text here needs.
    names = [*kv["tokenizer.ggml.tokens"][:-3], "<think>", "</think>", "<table>"]
    types = [*kv["tokenizer.ggml.token_type"][:-3], *[_USER_DEFINED] * 3]
    template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n"
        "{% if message.role == 'assistant' and '</think>' in message.content %}"
        "{{ message.content.split('</think>')[-1].strip() }}"
        "{% else %}{{ message.content }}{% endif %}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n<think>\n"
    )
    builder = tiny_llama(
        metadata={"tokenizer.ggml.tokens": names, "tokenizer.chat_template": template}
    )
    builder.keys = [k for k in builder.keys if k[0] != "tokenizer.ggml.token_type"]
    builder.kv("tokenizer.ggml.token_type", types, INT32)
    path = tmp_path_factory.mktemp("thinking") / "thinking.gguf"
    path.write_bytes(builder.build())
    session = LlamaRuntime().load(read_info(path), _SMALL)
    yield session
    session.close()


@pytest.fixture(scope="session")
def smollm2_session(smollm2_gguf: Path) -> Iterator[Session]:
    session = LlamaRuntime().load(read_info(smollm2_gguf), _SMALL)
    yield session
    session.close()
