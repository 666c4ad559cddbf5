"""The vocabularies of the tiny and the real model, without their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.runtime.structured.compiler import Compiler
from tests.runtime.structured.answering import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def words(tiny_gguf: Path) -> Iterator[Compiler]:
    """Return a compiler for the tiny model, which has a token for every byte."""
    model = Model(tiny_gguf)
    compiler = Compiler(model.vocabulary)
    yield compiler
    compiler.close()
    model.close()


@pytest.fixture(scope="module")
def real_words(smollm2_gguf: Path) -> Iterator[Compiler]:
    model = Model(smollm2_gguf)
    compiler = Compiler(model.vocabulary)
    yield compiler
    compiler.close()
    model.close()
