from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.runtime.fake import FakeRuntime
from localkit.widgets.playground.playground import Playground, playground
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from localkit.kit import Kit

OTHER = "other:f16"


@pytest.fixture
def runtime() -> FakeRuntime:
    """A runtime that answers ``one``, ``two``, … in turn."""
    return FakeRuntime(replies=["one", "two", "three", "four", "five", "six"])


@pytest.fixture
def kit(tiny_gguf: Path, runtime: FakeRuntime) -> Iterator[Kit]:
    """A kit with two models of the same weights: one session answers for both."""
    with fake_kit(tiny_gguf, runtime=runtime) as made:
        made.store.add(tiny_gguf, OTHER)
        yield made


@pytest.fixture
def make(kit: Kit) -> Iterator[Callable[..., Playground]]:
    """Return what makes playgrounds and closes them after the test."""
    opened: list[Playground] = []

    def make(
        *refs: str, prompt: str = "Say something", **options: object
    ) -> Playground:
        made = playground(*(refs or (MODEL, OTHER)), prompt=prompt, kit=kit, **options)  # type: ignore[arg-type]
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.close()
        one.asking.wait(10)
