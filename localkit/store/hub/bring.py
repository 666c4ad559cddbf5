"""One quant of a repo into the store: downloaded, checked, linked, named.

The bytes lie once on the disk: the user's Hugging Face cache holds them, and the
store gets a reflink or a hard link of them. Only across file systems are they
copied, and only a split model is written anew, as one file.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localkit.errors import DigestMismatch, GGUFError, RefError, Unsupported
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import preflight, read_header
from localkit.gguf.read import model_info
from localkit.gguf.split import merge
from localkit.io.disk import explained_write_errors
from localkit.io.hashing import hash_stream
from localkit.io.regular import open_regular
from localkit.store import blobs
from localkit.store.commit import NewBlob, commit
from localkit.store.config_blob import config_of
from localkit.store.digest import digest_from_hex
from localkit.store.hub.download import cached, download
from localkit.store.importing.beside import check_fits
from localkit.store.manifest import (
    CONFIG_TYPE,
    LICENCE_TYPE,
    MODEL_TYPE,
    PROJECTOR_TYPE,
    Layer,
    Manifest,
)
from localkit.store.ref import ModelRef
from localkit.store.resolve import resolve
from localkit.store.sources.route import HUB_HOST
from localkit.store.taking import Taken, take_bytes, take_source
from localkit.store.writing import remove_abandoned, staging_area

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.store.hub.repo import Quant, Repo, RepoFile
    from localkit.store.layout import Layout
    from localkit.store.stored import StoredModel

HubMethod = Literal["reflink", "hardlink", "copy", "moved", "present", "merged"]


@dataclass(frozen=True, slots=True)
class HubReceipt:
    """What bringing a model in from Hugging Face did."""

    model: StoredModel
    method: HubMethod
    """How the weights came from the cache into the store: ``copy`` only where both
    are on different file systems, ``merged`` for a split model, ``present`` when the
    store had them."""
    size: int
    """Bytes of the weights."""
    downloaded: int
    """Bytes that came over the network; what the cache had did not."""
    commit: str
    """Of the repo."""
    projector: str | None
    """Path of the projector in the repo that was brought along."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


def hub_ref(repo: str, quant: Quant) -> ModelRef:
    """Return the ref that a quant of a repo is stored under.

    Raises:
        RefError: the repo's or the quant's name cannot be one.
    """
    org, _, name = repo.partition("/")
    try:
        return ModelRef(model=name, tag=quant.label, host=HUB_HOST, namespace=org)
    except RefError as error:
        raise RefError(
            f"hf.co/{repo} cannot be stored under its own name: {error}",
            hint=f"give it one: pull hf.co/{repo} NAME",
        ) from error


def bring(
    layout: Layout,
    repo: Repo,
    quant: Quant,
    ref: ModelRef,
    *,
    projector: RepoFile | None = None,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> HubReceipt:
    """Download a quant, and the projector with it, and store it as ``ref``.

    Raises:
        SourceNotFound: a file is gone from the repo.
        RegistryError: the hub refuses, fails or cannot be reached.
        DigestMismatch: the bytes are not those that the repo lists.
        GGUFError: a file is no model or projector that may be loaded.
        RefError: ``ref`` pins a digest.
        DiskFull: it does not fit; the store is as it was.
        StoreLocked: another writer did not finish in time.
        StoreError: the store may not be written.
        Cancelled: ``cancel`` was raised; the store is as it was.
    """
    started = time.perf_counter()
    ref = ref.with_tag(ref.tag or quant.label.lower())
    remove_abandoned(layout)
    with staging_area(layout) as area:
        work = _Bringing(layout, repo, area, on_progress, cancel)
        # Downloads first: nothing of the store is held while they run.
        seen = None if projector is None else work.file(projector, "projector")
        weights = work.weights(quant)
        with explained_write_errors(quant.size, layout.root):
            manifest = work.manifest(weights, seen)
        commit(
            layout,
            ref,
            manifest.encode(),
            [taken.blob for taken in work.taken],
            purpose=f"adding {ref}",
            cancel=cancel,
        )
    method: HubMethod = weights.method
    return HubReceipt(
        model=resolve(layout, ref),
        method="merged" if method == "moved" and len(quant.files) > 1 else method,
        size=weights.blob.size,
        downloaded=work.downloaded,
        commit=repo.commit,
        projector=None if projector is None or work.notes else projector.path,
        seconds=time.perf_counter() - started,
        notes=tuple(work.notes),
    )


class _Bringing:
    """The blobs of one model on their way in."""

    def __init__(
        self,
        layout: Layout,
        repo: Repo,
        area: Path,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> None:
        self._layout = layout
        self._repo = repo
        self._area = area
        self._on_progress = on_progress
        self._cancel = cancel
        self.taken: list[Taken] = []
        self.downloaded = 0
        self.notes: list[str] = []

    def weights(self, quant: Quant) -> Taken:
        """Have the one file of the weights, merged where the repo has parts."""
        if len(quant.files) == 1:
            return self.file(quant.files[0], "weights")
        parts = [self._checked(file, self._fetched(file)) for file in quant.files]
        target = self._area / "weights"
        merged = merge(
            parts, target, on_progress=self._on_progress, cancel=self._cancel
        )
        digest = digest_from_hex(merged.sha256)
        return self._keep(Taken(NewBlob(digest, merged.size, target), "moved"))

    def file(self, file: RepoFile, name: str) -> Taken:
        """Have a file of the repo: of the store, of the cache, or downloaded."""
        staged = self._area / name
        if file.sha256 is not None:
            digest = digest_from_hex(file.sha256)
            if blobs.is_intact(self._layout, digest, cancel=self._cancel):
                return self._keep(
                    take_source(self._layout, digest, staged, cancel=self._cancel)
                )
        path = self._fetched(file)
        if file.sha256 is None:
            self._checked(file, path)
        # The cache's entry is a link to its blob; a link of that is what is wanted.
        taken = take_source(
            self._layout,
            path.resolve(),
            staged,
            on_progress=self._on_progress,
            cancel=self._cancel,
        )
        if file.sha256 is not None:
            self._hold(file, path, taken.blob.digest.removeprefix("sha256:"))
        return self._keep(taken)

    def manifest(self, weights: Taken, projector: Taken | None) -> Manifest:
        """Check that what came may be loaded, and describe it."""
        path = weights.blob.staged or self._layout.blob(weights.blob.digest)
        header = read_header(path)
        preflight.check(header)
        info = model_info(header, path)
        layers = [_layer(MODEL_TYPE, weights)]
        if projector is not None:
            blob = projector.blob
            try:
                check_fits(blob.staged or self._layout.blob(blob.digest), info)
            except (GGUFError, Unsupported) as error:
                # The model answers without it.
                self.taken.remove(projector)
                self.notes.append(f"left its projector out: {error}")
            else:
                layers.append(_layer(PROJECTOR_TYPE, projector))
        licence = info.licence or self._repo.licence
        if licence:
            layers.append(_layer(LICENCE_TYPE, self._text(licence.encode())))
        config = config_of(info, tuple(layer.digest for layer in layers))
        return Manifest(
            config=_layer(CONFIG_TYPE, self._text(config.encode())),
            layers=tuple(layers),
        )

    def _text(self, data: bytes) -> Taken:
        return self._keep(Taken(take_bytes(data, self._area), "copy"))

    def _keep(self, taken: Taken) -> Taken:
        self.taken.append(taken)
        return taken

    def _fetched(self, file: RepoFile) -> Path:
        if cached(self._repo, file) is None:
            self.downloaded += file.size
        return download(
            self._repo, file, on_progress=self._on_progress, cancel=self._cancel
        )

    def _checked(self, file: RepoFile, path: Path) -> Path:
        """Hash a file that is not hashed while it is taken over.

        A small file may lie in git itself, under the name that git gives its bytes.
        """
        with open_regular(path) as stream:
            if file.sha256 is not None:
                found = hash_stream(
                    stream, on_progress=self._on_progress, cancel=self._cancel
                ).sha256
            else:
                head = f"blob {file.size}\0".encode()
                git = hashlib.sha1(head, usedforsecurity=False)
                while data := stream.read(1 << 20):
                    git.update(data)
                found = git.hexdigest()
        self._hold(file, path, found)
        return path

    def _hold(self, file: RepoFile, path: Path, found: str) -> None:
        listed = file.sha256 or file.git_id
        if listed is not None and found != listed:
            raise DigestMismatch(
                f"{file.path} of {self._repo.id} hashes to {found[:12]}…, "
                f"and the repo lists {listed[:12]}…",
                hint=f"delete {path.resolve()} and pull again; "
                "nothing of it is in the store",
            )


def _layer(media_type: str, taken: Taken) -> Layer:
    return Layer(media_type=media_type, digest=taken.blob.digest, size=taken.blob.size)
