"""Repos with GGUF files, found by words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localkit.errors import RegistryError
from localkit.store.hub.library import endpoint, get_json


@dataclass(frozen=True, slots=True)
class FoundRepo:
    """One repo of a search."""

    id: str
    """``org/repo``."""
    downloads: int
    """In the last 30 days, as the hub counts."""
    likes: int
    updated: datetime | None
    licence: str | None
    gated: bool
    """Whether its terms must be accepted before a download."""


class _Item(BaseModel):
    """One repo, as ``/api/models`` lists it; read as far as it is shown."""

    model_config = ConfigDict(extra="ignore")
    id: Annotated[str, Field(max_length=200)]
    downloads: int = 0
    likes: int = 0
    lastModified: datetime | None = None  # noqa: N815 # its name
    tags: list[str] = []
    gated: bool | str = False


def search(words: str, *, limit: int = 20) -> list[FoundRepo]:
    """Return the repos with GGUF files whose names hold ``words``.

    The one with most downloads first.

    Raises:
        RegistryError: the hub refuses, fails or cannot be reached.
    """
    params = {
        "search": words,
        "filter": "gguf",
        "sort": "downloads",
        "limit": limit,
        "expand": ["downloads", "likes", "lastModified", "tags", "gated"],
    }
    answer = get_json("/api/models", params, about=f"search '{words[:60]}'")
    try:
        items = [_Item.model_validate(item) for item in answer]
    except (ValidationError, TypeError) as error:
        raise RegistryError(
            f"{endpoint()} lists repos as no hub does",
            hint="check HF_ENDPOINT, or try again later",
        ) from error
    found = [
        FoundRepo(
            id=item.id,
            downloads=item.downloads,
            likes=item.likes,
            updated=item.lastModified,
            licence=_licence(item.tags),
            gated=item.gated not in (False, "false"),
        )
        for item in items
    ]
    return sorted(found, key=lambda repo: (-repo.downloads, repo.id))[:limit]


def _licence(tags: list[str]) -> str | None:
    """Return the licence among a repo's tags: ``license:apache-2.0``."""
    for tag in tags:
        if tag.startswith("license:"):
            return tag.removeprefix("license:")
    return None
