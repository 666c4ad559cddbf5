"""Sessions over the tiny and the real model, one engine thread each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.session import LlamaSession


@pytest.fixture(scope="module")
def tiny(tiny_gguf: Path) -> Iterator[LlamaSession]:
    session = LlamaRuntime().load(
        read_info(tiny_gguf), LoadParams(n_ctx=512, n_threads=1)
    )
    yield session
    session.close()


@pytest.fixture(scope="module")
def smollm2(smollm2_gguf: Path) -> Iterator[LlamaSession]:
    session = LlamaRuntime().load(
        read_info(smollm2_gguf), LoadParams(n_ctx=2048, n_threads=1)
    )
    yield session
    session.close()
