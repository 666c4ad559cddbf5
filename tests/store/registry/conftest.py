from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.io.http import Pace
from localkit.store.layout import Layout
from localkit.store.registry.client import Registry
from tests.fixtures.docker_registry import docker_registry
from tests.fixtures.registry import LICENCE_TYPE, MODEL_TYPE, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.docker_registry import DockerRegistry

FAST = Pace(shortest_s=0.001, longest_s=0.002)


@pytest.fixture
def hostile() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        yield registry


@pytest.fixture
def client(hostile: HostileRegistry) -> Iterator[Registry]:
    """Return a client of the hostile registry that waits milliseconds at most."""
    with Registry(
        hostile.host, find=lambda _: None, pace=FAST, stall_s=0.5, document_s=2.0
    ) as registry:
        yield registry


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def tiny(hostile: HostileRegistry, tiny_gguf: Path) -> str:
    """Serve a small real model; return its ref."""
    weights = tiny_gguf.read_bytes()
    layers = [(MODEL_TYPE, weights), (LICENCE_TYPE, b"MIT")]
    hostile.add_model("library/tiny", "f16", layers)
    return f"{hostile.host}/library/tiny:f16"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """Return docker's own registry, shared by tests that use names of their own."""
    with docker_registry(tmp_path_factory.mktemp("docker") / "registry") as registry:
        yield registry
