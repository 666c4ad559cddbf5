r"""From a text as a user writes it to the place that it means.

::

    pkg:NAME[/FILE.gguf]                          installed Python package
    hf.co/ORG/REPO[@REVISION][:QUANT]             Hugging Face, one quant of a repo
    hf.co/ORG/REPO[@REVISION]/PATH/FILE.gguf      Hugging Face, one file
    hf.co/ORG/REPO/resolve/REVISION/PATH.gguf     the same, as its pages link to it
    ./model.gguf, /data/models, ~/m, C:\models     file or folder of this machine
    [host/][namespace/]model[:tag]                registry

``huggingface.co``, ``hf:`` and ``https://`` in front are read as ``hf.co``. A text
is a path when it begins as one or ends in the name of a model file; a bare
``smollm2`` is a model of the registry even beside a folder of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from localkit.errors import SourceNotFound
from localkit.store.ref import ModelRef

HUB_HOST = "hf.co"
_LONGEST = 4096  # PATH_MAX of Linux
_HUB = re.compile(
    r"(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/|hf:(?://)?", re.IGNORECASE
)
# As the hub allows them: a part may not be a way out of a folder.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
_PATH = re.compile(r"\.{0,2}[/\\]|\.{1,2}$|~|file:|[A-Za-z]:[/\\]")
_MODEL_FILE = re.compile(r"\.(gguf|safetensors)$", re.IGNORECASE)
# name[@revision][:quant | /path]. A branch with "/" can be given in a link only.
_AFTER_ORG = re.compile(
    r"([^/:@]*)(?:@(refs/[^/:]+/[^/:]+|[^/:]*))?(?::([^/]*)|/(.*))?"
)
_NOT_MODELS = frozenset({"datasets", "spaces", "collections", "papers", "docs", "api"})
_PAGES = frozenset({"resolve", "blob", "raw", "tree"})
_HUB_HINT = (
    "write hf.co/ORG/REPO, hf.co/ORG/REPO:QUANT or hf.co/ORG/REPO/PATH/FILE.gguf"
)


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A GGUF that an installed Python package ships."""

    what: str
    """``NAME`` or ``NAME/FILE.gguf``, as `localkit.store.sources.pkg` reads it."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repo on Hugging Face, and what of it."""

    repo: str
    """``org/repo``."""
    quant: str | None = None
    """Which quant; None: to be chosen, unless `file` says."""
    file: str | None = None
    """Path of one file in the repo."""
    revision: str | None = None
    """Branch, tag or commit; None: the repo's default branch."""

    def __str__(self) -> str:
        """Return the text that means this source."""
        text = f"{HUB_HOST}/{self.repo}"
        if self.revision is not None:
            text += f"@{self.revision}"
        if self.file is not None:
            return f"{text}/{self.file}"
        return text if self.quant is None else f"{text}:{self.quant}"


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file or folder of this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """A model of a registry that speaks Ollama's protocol."""

    ref: ModelRef


Source = PackageSource | HubSource | LocalSource | RegistrySource


def route(text: str) -> Source:
    """Return the place that ``text`` means; nothing is looked up.

    Raises:
        SourceNotFound: it means a place that models do not come from.
        RefError: it means a registry and breaks the grammar of a ref.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise SourceNotFound(
            f"{text[:60]!r} names no place to take a model from",
            hint="pull NAME, hf.co/ORG/REPO, pkg:NAME or the path of a file",
        )
    if text.startswith("pkg:"):
        return PackageSource(text.removeprefix("pkg:"))
    if (hub := _HUB.match(text)) is not None:
        return _hub_source(text[hub.end() :], text)
    if re.match(r"https?://", text) and _MODEL_FILE.search(text.partition("?")[0]):
        raise SourceNotFound(
            f"'{text[:200]}' is a file of some web server",
            hint="download it, then `add FILE`; models of a registry and of hf.co "
            "are pulled by name",
        )
    if _PATH.match(text) or (_MODEL_FILE.search(text) and "://" not in text):
        return LocalSource(Path(text.removeprefix("file://").removeprefix("file:")))
    return RegistrySource(ModelRef.parse(text))


def _hub_source(rest: str, text: str) -> HubSource:
    rest = unquote(rest.partition("?")[0].partition("#")[0]).strip("/")
    org, _, after = rest.partition("/")
    if org in _NOT_MODELS:
        raise SourceNotFound(
            f"'{text[:200]}' is no model repo but one of Hugging Face's {org}",
            hint=_HUB_HINT,
        )
    match = _AFTER_ORG.fullmatch(after)
    name, revision, quant, path = match.groups() if match else ("", None, None, None)
    if path is not None and revision is None:
        page, _, linked = path.partition("/")
        if page in _PAGES:
            revision, _, path = linked.partition("/")
    for part in (org, name):
        if not _PART.fullmatch(part) or part.endswith(".") or ".." in part:
            raise SourceNotFound(
                f"'{text[:200]}' names no repo of Hugging Face", hint=_HUB_HINT
            )
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise SourceNotFound(
            f"'{revision[:100]}' cannot be a revision of {org}/{name}",
            hint="write a branch, a tag or a commit: hf.co/ORG/REPO@main",
        )
    if path and not path.lower().endswith(".gguf"):
        raise SourceNotFound(
            f"'{path[:200]}' of {org}/{name} is not a GGUF file",
            hint=f"`quants {HUB_HOST}/{org}/{name}` lists what can be pulled",
        )
    return HubSource(
        f"{org}/{name}",
        quant=None if quant and quant.lower() == "latest" else quant,
        file=path or None,
        revision=revision or None,
    )
