"""What a repo on Hugging Face holds: its quants, its projectors, its licence.

One request tells all of it, with the commit that it is true of. Everything after
that names the commit, so a repo that changes meanwhile cannot mix two versions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localkit.errors import RegistryError, SourceNotFound
from localkit.store.hub.file_name import FileName, read_name
from localkit.store.hub.library import endpoint, get_json

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_SIZE = 1 << 50
_MAX_PATH = 1024
_MAX_PARTS = 1000
# F16 first: every backend computes with it, and a projector is small.
_PROJECTOR_ORDER = ("F16", "BF16", "Q8_0", "F32")


@dataclass(frozen=True, slots=True)
class RepoFile:
    """One file of a repo at one commit."""

    path: str
    """Inside the repo, with ``/``; never absolute, never upwards."""
    size: int
    sha256: str | None
    """64 hexadecimal digits; None for a small file that lies in git itself."""
    git_id: str | None
    """Name of the bytes in git, of a file that lies in it."""


@dataclass(frozen=True, slots=True)
class Quant:
    """One quant of a model, in one file or in parts."""

    label: str
    model: str
    """What the file name says besides the quant, in lower case."""
    files: tuple[RepoFile, ...]
    """In order where it is split; the first has the header."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Repo:
    """What a repo holds at one commit."""

    id: str
    """``org/repo``."""
    commit: str
    quants: tuple[Quant, ...]
    """The largest first."""
    projectors: tuple[RepoFile, ...]
    """The one to take first."""
    licence: str | None
    """As the repo's card names it."""
    gated: bool
    """Whether its terms must be accepted before a download."""
    incomplete: tuple[str, ...] = ()
    """Labels of split quants whose parts are not all there: not offered."""

    def projector_for(self, quant: Quant) -> RepoFile | None:
        """Return the projector that belongs to ``quant``: of its folder, or any."""
        folder = quant.files[0].path.rpartition("/")[0]
        beside = (
            file for file in self.projectors if file.path.rpartition("/")[0] == folder
        )
        return next(beside, next(iter(self.projectors), None))

    def named(self, name: str) -> Quant:
        """Return the one quant that ``name`` means: a label, a file or its stem.

        Raises:
            SourceNotFound: no such quant, or several; says which there are.
        """
        wanted = name.lower()
        found = [quant for quant in self.quants if wanted in _names(quant)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise SourceNotFound(
                f"hf.co/{self.id} has no quant '{name[:100]}'",
                hint=self._what_there_is(),
            )
        raise SourceNotFound(
            f"hf.co/{self.id} has {len(found)} files of quant '{name[:100]}'",
            hint=f"name one: {self._files(found)}",
        )

    def of_one_model(self) -> tuple[Quant, ...]:
        """Return the quants, if they are all of one model.

        Raises:
            SourceNotFound: there are none, or of several models.
        """
        if not self.quants:
            raise SourceNotFound(
                f"hf.co/{self.id} has no GGUF file", hint="`search WORDS` finds some"
            )
        if not self.is_one_model:
            raise SourceNotFound(
                f"hf.co/{self.id} has GGUF files of several models",
                hint=f"name one: {self._files(self.quants)}",
            )
        return self.quants

    @property
    def is_one_model(self) -> bool:
        """Whether the file names differ in nothing but the quant."""
        models = {quant.model for quant in self.quants}
        labels = {quant.label for quant in self.quants}
        return len(models) == 1 and len(labels) == len(self.quants)

    def _what_there_is(self) -> str:
        labels = list(dict.fromkeys(quant.label for quant in reversed(self.quants)))
        there = f"there is {', '.join(labels)}" if labels else "it has no GGUF file"
        if self.incomplete:
            there += f"; parts are missing of {', '.join(self.incomplete)}"
        return there

    def _files(self, quants: Iterable[Quant]) -> str:
        paths = [f"hf.co/{self.id}/{quant.files[0].path}" for quant in quants]
        more = f" and {len(paths) - 8} more" if len(paths) > 8 else ""
        return ", ".join(paths[:8]) + more


def _names(quant: Quant) -> set[str]:
    names = {quant.label.lower()}
    for file in quant.files:
        path = file.path.lower()
        name = path.rpartition("/")[2]
        names |= {path, name, name.removesuffix(".gguf")}
    return names


class _Lfs(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, le=_MAX_SIZE)]


class _Sibling(BaseModel):
    """One file, as ``/api/models/…?blobs=true`` lists it."""

    model_config = ConfigDict(extra="ignore")
    rfilename: Annotated[str, Field(max_length=4096)]
    size: Annotated[int | None, Field(ge=0, le=_MAX_SIZE)] = None
    blobId: Annotated[str | None, Field(max_length=64)] = None  # noqa: N815 # its name
    lfs: _Lfs | None = None


class _Listing(BaseModel):
    """The hub's description of a repo, as far as it is read."""

    model_config = ConfigDict(extra="ignore")
    sha: str
    siblings: list[_Sibling] = []
    gated: bool | str = False
    cardData: dict[str, Any] | None = None  # noqa: N815 # its name


def read_repo(repo: str, revision: str | None = None) -> Repo:
    """Ask the hub what ``org/repo`` holds.

    Raises:
        SourceNotFound: no such repo or revision.
        RegistryError: the hub refuses, fails or cannot be reached; or the repo has
            a file whose name would lead out of a folder.
    """
    from urllib.parse import quote

    at = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    answer = get_json(f"/api/models/{repo}{at}?blobs=true", {}, about=repo)
    try:
        listing = _Listing.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the answer"
        raise _not_a_hub(repo, f"{place}: {first['msg']}") from error
    if not _COMMIT.fullmatch(listing.sha):
        raise _not_a_hub(repo, "sha: no commit")
    models: list[tuple[FileName, RepoFile]] = []
    projectors: list[tuple[FileName, RepoFile]] = []
    for sibling in listing.siblings:
        if not sibling.rfilename.lower().endswith(".gguf"):
            continue
        file = _file(repo, sibling)
        name = read_name(file.path)
        if name.is_model:
            models.append((name, file))
        elif name.is_projector and name.n_parts == 1:
            projectors.append((name, file))
    quants, incomplete = _quants(models)
    return Repo(
        id=repo,
        commit=listing.sha,
        quants=quants,
        projectors=tuple(file for _, file in sorted(projectors, key=_projector_order)),
        licence=_licence(listing.cardData or {}),
        gated=listing.gated not in (False, "false"),
        incomplete=incomplete,
    )


def _file(repo: str, sibling: _Sibling) -> RepoFile:
    path = sibling.rfilename
    steps = path.split("/")
    if (
        len(path) > _MAX_PATH
        or not path.isprintable()
        or any(step in ("", ".", "..") or step.endswith((" ", ".")) for step in steps)
        or any(char in path for char in '\\:*?"<>|')
    ):
        raise RegistryError(
            f"hf.co/{repo} lists a file {path[:100]!r}, which could leave its folder",
            hint="do not use this repo; nothing was downloaded",
        )
    size = sibling.lfs.size if sibling.lfs else sibling.size
    if size is None:
        raise _not_a_hub(repo, f"{path[:100]} has no size")
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    return RepoFile(path, size, sha256, None if sibling.lfs else sibling.blobId)


def _quants(
    models: list[tuple[FileName, RepoFile]],
) -> tuple[tuple[Quant, ...], tuple[str, ...]]:
    """Return the quants, the largest first, and the labels of those in pieces."""
    groups: defaultdict[tuple[str, str, str, int], dict[int, RepoFile]]
    groups = defaultdict(dict)
    for name, file in models:
        # Whole files are never grouped; parts are, within their folder.
        alone = file.path if name.n_parts == 1 else file.path.rpartition("/")[0]
        groups[name.label, name.model, alone, name.n_parts][name.part] = file
    quants, incomplete = [], []
    for (label, model, _, n_parts), parts in groups.items():
        if n_parts > _MAX_PARTS or sorted(parts) != list(range(1, n_parts + 1)):
            incomplete.append(label)
            continue
        files = tuple(parts[number] for number in range(1, n_parts + 1))
        quants.append(Quant(label, model, files))
    quants.sort(key=lambda one: (-one.size, one.label, one.model))
    return tuple(quants), tuple(sorted(incomplete))


def _projector_order(named: tuple[FileName, RepoFile]) -> tuple[int, str]:
    name, file = named
    known = name.label in _PROJECTOR_ORDER
    place = _PROJECTOR_ORDER.index(name.label) if known else len(_PROJECTOR_ORDER)
    return place, file.path


def _licence(card: dict[str, Any]) -> str | None:
    """Return the licence as the card names it: its id, or its own name and link."""
    licence = card.get("license")
    if isinstance(licence, list):
        licence = ", ".join(str(one) for one in licence)
    if licence in (None, "", "other"):
        licence = card.get("license_name") or licence
        link = card.get("license_link")
        if isinstance(link, str) and link.startswith("https://"):
            licence = f"{licence or 'see'} ({link})"
    return str(licence)[:500] if licence else None


def _not_a_hub(repo: str, why: str) -> RegistryError:
    return RegistryError(
        f"{repo}: {endpoint()} describes it as no hub does: {why}",
        hint="check HF_ENDPOINT, or try again later",
    )
