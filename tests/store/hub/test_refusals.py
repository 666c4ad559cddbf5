"""What a hub may refuse, and what it may not learn."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import pytest

from localkit.errors import LocalkitError, RegistryError, SourceNotFound
from localkit.store import Store
from localkit.store.hub.bring import bring, hub_ref
from localkit.store.hub.repo import read_repo
from tests.fixtures.gguf import tiny_llama
from tests.fixtures.hub import HubRepo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.hub import FakeHub

MODEL = tiny_llama().build()
TOKEN = "hf_thisIsASecretOfTheUser"


def fetch(store: Store, name: str = "org/Tiny") -> None:
    repo = read_repo(name)
    bring(store.layout, repo, repo.quants[0], hub_ref(repo.id, repo.quants[0]))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def logged_in(cache: Path) -> str:
    """Put a token where `hf auth login` does."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "token").write_text(TOKEN, encoding="utf-8")
    return TOKEN


def test_P4_a_gated_repo_says_where_to_accept_its_terms(
    hub: FakeHub, store: Store
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL}, gated="manual", token="x")
    with pytest.raises(RegistryError, match=r"gated.*HTTP 401") as caught:
        fetch(store)
    assert caught.value.hint.startswith(f"accept its terms at {hub.url}/org/Tiny, then")
    assert "HF_TOKEN" in caught.value.hint
    assert caught.value.status == 401


def test_P4_an_account_that_was_not_let_in_yet_is_told_so(
    hub: FakeHub, store: Store, logged_in: str
) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL}, gated="auto", token="x")
    with pytest.raises(RegistryError, match=r"may not read it \(HTTP 403\)") as caught:
        fetch(store)
    assert logged_in not in caught.value.one_line()


def test_a_gated_repo_opens_with_the_token_of_the_user(
    hub: FakeHub, store: Store, logged_in: str
) -> None:
    hub.repos["org/Tiny"] = HubRepo(
        {"Tiny-F16.gguf": MODEL}, gated="auto", token=logged_in
    )
    fetch(store)
    assert len(store.list()) == 1


def test_P7_the_token_goes_to_the_hub_and_not_where_it_redirects(
    hub: FakeHub, store: Store, logged_in: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    fetch(store)
    assert hub.asked("GET", "/cdn/")
    for request in hub.requests:
        expected = None if "/cdn/" in request.path else f"Bearer {logged_in}"
        assert request.token == expected, request.path
    assert logged_in not in caplog.text


def test_L2_the_hub_is_not_told_who_runs_it(
    hub: FakeHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AI_AGENT", "some-agent")
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    fetch(store)
    assert hub.asked("GET", "agent-harnesses") == []
    for request in hub.requests:
        assert "agent/" not in request.headers["user-agent"]


def test_P4_a_repo_that_is_not_there_or_private_is_one_message(
    hub: FakeHub, store: Store
) -> None:
    hub.repos["org/Secret"] = HubRepo(private=True, token="x")
    for name in ("org/Secret", "org/Nothing"):
        with pytest.raises(SourceNotFound, match=f"no repo {name} on") as caught:
            fetch(store, name)
        assert "search" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (500, True), (503, True), (418, False)]
)
def test_P4_a_status_is_said_and_whether_to_try_again(
    hub: FakeHub, status: int, again: bool
) -> None:
    hub.status = status
    with pytest.raises(RegistryError, match=f"HTTP {status}") as caught:
        read_repo("org/Tiny")
    assert (caught.value.status, caught.value.retryable) == (status, again)
    assert len(hub.requests) == 1


def test_an_unknown_revision_is_said(hub: FakeHub) -> None:
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    with pytest.raises(SourceNotFound, match="no such revision"):
        read_repo("org/Tiny", "v9")


def test_P5_a_hub_out_of_reach_is_one_line_and_no_wait(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}"
    )
    with pytest.raises(RegistryError, match="cannot be reached") as caught:
        read_repo("org/Tiny")
    assert caught.value.retryable
    assert "\n" not in caught.value.one_line()


def test_P5_the_offline_switch_of_the_hubs_library_is_obeyed(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RegistryError, match="HF_HUB_OFFLINE is set"):
        read_repo("org/Tiny")
    assert hub.requests == []


def test_P4_a_page_in_place_of_an_answer_is_said(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A captive portal answers everything with its own page.
    hub.repos["org/Tiny"] = HubRepo({"Tiny-F16.gguf": MODEL})
    monkeypatch.setattr(
        "huggingface_hub.constants.ENDPOINT",
        f"{hub.url}/org/Tiny/resolve/main/Tiny-F16.gguf#",
    )
    with pytest.raises(LocalkitError) as caught:
        read_repo("org/Tiny")
    assert "\n" not in str(caught.value)
