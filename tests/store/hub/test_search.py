from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localkit.errors import RegistryError
from localkit.store.hub.search import search
from tests.fixtures.hub import HubRepo

if TYPE_CHECKING:
    from tests.fixtures.hub import FakeHub


def test_repos_are_listed_by_downloads(hub: FakeHub) -> None:
    hub.repos["a/few-llama"] = HubRepo(downloads=3, card={"license": "mit"})
    hub.repos["b/many-llama"] = HubRepo(downloads=300, likes=7, gated="manual")
    hub.repos["c/other"] = HubRepo(downloads=9999)
    many, few = search("llama")
    assert (many.id, many.downloads, many.likes, many.gated) == (
        "b/many-llama",
        300,
        7,
        True,
    )
    assert (few.id, few.licence, few.gated) == ("a/few-llama", "mit", False)
    assert few.updated is not None


def test_no_more_are_asked_for_than_are_shown(hub: FakeHub) -> None:
    for n in range(9):
        hub.repos[f"a/m{n}"] = HubRepo(downloads=n)
    assert [repo.id for repo in search("m", limit=2)] == ["a/m8", "a/m7"]


def test_P4_a_hub_that_fails_is_asked_once_and_said(hub: FakeHub) -> None:
    hub.status = 503
    with pytest.raises(RegistryError, match="HTTP 503") as caught:
        search("m")
    assert caught.value.retryable
    assert len(hub.requests) == 1
