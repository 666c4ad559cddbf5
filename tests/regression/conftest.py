from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.gguf import write_tiny_llama
from tests.fixtures.regression import FIGURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def figures() -> Callable[..., dict[str, Any]]:
    """Return a function that returns an answer's metadata with values changed.

    A name with dots stands for a value inside: ``receipt.params.seed``.
    """

    def made(**changed: Any) -> dict[str, Any]:
        found = copy.deepcopy(FIGURES)
        for name, value in changed.items():
            *path, last = name.split("__")
            inner = found
            for step in path:
                inner = inner[step]
            inner[last] = value
        return found

    return made


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with two models of random weights: tiny:f16 and other:f16."""
    from localkit.store import Store

    home = tmp_path_factory.mktemp("home")
    store = Store(home / "models")
    for seed, name in enumerate(("tiny", "other")):
        path = write_tiny_llama(home / f"{name}-F16.gguf", seed=seed)
        store.add(path, f"{name}:f16")
    return home
