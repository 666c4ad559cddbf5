"""A model over the fake runtime, and one over the engine with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.gguf import read_info
from localkit.model import Model
from localkit.runtime.fake import FakeRuntime
from localkit.runtime.params import LoadParams
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.session import LlamaSession


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def model(tiny_gguf: Path, runtime: FakeRuntime) -> Iterator[Model]:
    """Return a model over a runtime without weights."""
    with fake_kit(tiny_gguf, runtime=runtime) as kit:
        yield kit.load(MODEL, LoadParams(n_ctx=512, n_seq_max=4))


@pytest.fixture(scope="module")
def session(tiny_gguf: Path) -> Iterator[LlamaSession]:
    from localkit.runtime.llama import LlamaRuntime

    params = LoadParams(n_ctx=512, n_threads=1, n_seq_max=4)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    yield session
    session.close()


@pytest.fixture
def llama(tiny_gguf: Path, session: LlamaSession) -> Iterator[Model]:
    """Return a model with random weights behind the real engine."""
    with fake_kit(tiny_gguf) as kit:
        yield Model(kit.store.resolve(MODEL), session)
