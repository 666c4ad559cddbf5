"""P5, L2: without a network what is here works, and nothing tries to reach it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import RegistryError
from localkit.store import Store
from localkit.store.ref import ModelRef
from localkit.store.registry.client import Registry
from localkit.store.registry.pull import pull
from localkit.store.registry.push import push
from tests.fixtures.kits import MODEL, fake_kit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what was tried; each look-up fails as it does without a network."""
    tried: list[Any] = []

    def no_name(host: Any, *_: Any, **__: Any) -> Any:
        tried.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def no_way(_: socket.socket, address: Any) -> Any:
        tried.append(address)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, no_way)
    return tried


def test_P5_L2_list_show_load_and_chat_connect_to_nothing(
    attempts: list[Any], tiny_gguf: Path
) -> None:
    with fake_kit(tiny_gguf) as kit:
        assert [str(one.ref) for one in kit.store.list()] == [MODEL]
        assert kit.store.resolve("tiny").info.architecture == "llama"
        assert kit.load(MODEL).chat("hello").text
    assert attempts == []


def test_P5_a_pull_says_in_one_line_that_nobody_is_reached(
    attempts: list[Any], tmp_path: Path
) -> None:
    with pytest.raises(RegistryError) as caught:
        pull(Store(tmp_path).layout, ModelRef.parse("smollm2"))
    line = caught.value.one_line()
    assert "cannot reach https://registry.ollama.ai" in line
    assert "what is in the store works without it" in line
    assert "\n" not in line
    assert len(line) < 250
    # Told at once: nobody waits for six tries without a network.
    assert attempts == ["registry.ollama.ai"]
    assert list(tmp_path.iterdir()) == []


def test_P5_a_push_says_so_too(
    attempts: list[Any], tmp_path: Path, tiny_gguf: Path
) -> None:
    store = Store(tmp_path)
    store.add(tiny_gguf, "tiny:f16")
    with pytest.raises(RegistryError, match="cannot reach"):
        push(store.layout, ModelRef.parse("tiny:f16"))
    assert len(attempts) == 1


def test_P5_making_a_client_connects_to_nothing(attempts: list[Any]) -> None:
    with Registry("registry.example"):
        pass
    assert attempts == []
