"""A loaded model: its name, its end, the methods it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from localkit.errors import (
    SessionClosed,
)
from localkit.model import Model
from localkit.runtime.params import Adapter, LoadParams
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def model(tiny_gguf: Path) -> Iterator[Model]:
    with fake_kit(tiny_gguf) as kit:
        yield kit.load(MODEL, LoadParams(n_ctx=512))


def test_a_closed_model_refuses_and_says_that_it_is(model: Model) -> None:
    with model as inside:
        assert inside is model
        assert "n_ctx=512" in repr(model)
    assert model.closed
    assert repr(model).endswith("unloaded>")
    with pytest.raises(SessionClosed):
        model.generate("a")


def test_what_stops_by_itself_can_be_awaited_too() -> None:
    blocking = ("chat", "generate", "score", "embed", "rerank")
    for name in blocking:
        assert callable(getattr(Model, name))
        assert getattr(Model, name).__doc__
        assert callable(getattr(Model, f"a{name}"))


def test_the_receipt_names_what_changed_the_answer(
    model: Model, tmp_path: Path
) -> None:
    plain = model.generate("a", max_tokens=2).receipt
    assert (plain.adapters, plain.exact) == ((), False)
    changed = model.generate(
        "a", max_tokens=2, adapters=(Adapter(tmp_path / "style.gguf", 0.5),), exact=True
    ).receipt
    assert (changed.adapters, changed.exact) == (("style.gguf × 0.5",), True)
    json.dumps(changed.as_dict())
