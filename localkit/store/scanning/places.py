"""Where other programs keep the models that they downloaded.

As each program documents it, on Linux, macOS and Windows; only Linux's were looked at
on a real machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from localkit.errors import SourceNotFound, StoreError
from localkit.io.regular import open_regular
from localkit.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localkit.config import OtherTools

_MAX_POINTER = 4096


class Place(NamedTuple):
    """A folder to look into."""

    program: str
    """Whose it is: ``LM Studio``; the folder itself for one that was given."""
    folder: Path
    is_ollama: bool = False
    """Whether it is a store in Ollama's layout."""


def known_places(
    tools: OtherTools, *, ollama: Iterable[Path], home: Path
) -> list[Place]:
    """Return the folders of other programs, whether they are there or not."""
    found: dict[Path, Place] = {}
    theirs = [Place("Ollama", folder, is_ollama=True) for folder in ollama]
    for place in [*theirs, *_places(tools, home)]:
        found.setdefault(place.folder.expanduser().absolute(), place)
    return [place._replace(folder=folder) for folder, place in found.items()]


def given_place(folder: Path) -> Place:
    """Return a folder that someone named; one in Ollama's layout is known by it."""
    folder = folder.expanduser().absolute()
    layout = Layout(folder)
    try:
        is_store = layout.blobs.is_dir() and any(layout.all_manifests())
    except StoreError:  # it may not be read, which the scan says
        is_store = False
    return Place(str(folder), folder, is_ollama=is_store)


def _places(tools: OtherTools, home: Path) -> Iterator[Place]:
    cache = tools.xdg_cache_home or home / ".cache"
    data = tools.xdg_data_home or home / ".local" / "share"
    windows = tools.localappdata or home / "AppData" / "Local"
    mac = home / "Library"

    moved = _lm_studio_home(home)
    if moved is not None:
        yield Place("LM Studio", moved / "models")
    yield Place("LM Studio", home / ".lmstudio" / "models")
    yield Place("LM Studio", cache / "lm-studio" / "models")

    if tools.llama_cache is not None:
        yield Place("llama.cpp", tools.llama_cache)
    for folder in (cache, mac / "Caches", windows):
        yield Place("llama.cpp", folder / "llama.cpp")

    hub = tools.hf_hub_cache
    if hub is None:
        hub = (tools.hf_home or cache / "huggingface") / "hub"
    yield Place("Hugging Face", hub)

    for folder in (
        data / "nomic.ai" / "GPT4All",
        mac / "Application Support" / "nomic.ai" / "GPT4All",
        windows / "nomic.ai" / "GPT4All",
        cache / "gpt4all",
    ):
        yield Place("GPT4All", folder)


def _lm_studio_home(home: Path) -> Path | None:
    """Return where LM Studio was moved to: it leaves a file that says so."""
    try:
        with open_regular(home / ".lmstudio-home-pointer") as stream:
            text = (stream.read(_MAX_POINTER) or b"").decode().strip()
    except (SourceNotFound, UnicodeDecodeError):
        return None
    path = Path(text)
    return path if text and "\0" not in text and path.is_absolute() else None
