"""One file of a repo into the user's Hugging Face cache, where others use it too."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled, DigestMismatch
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.io.disk import explained_write_errors, require_free
from localkit.store.hub.library import TIMEOUT_S, headers, hub_errors, prepare
from localkit.store.registry.remote import RangeReply
from localkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.store.hub.repo import Repo, RepoFile

# The library names a file of its cache after the ETag, whatever that holds.
_ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def cached(repo: Repo, file: RepoFile) -> Path | None:
    """Return where the file lies in the user's cache; None when it is not there."""
    from huggingface_hub import try_to_load_from_cache

    with hub_errors(repo.id, file.path):
        found = try_to_load_from_cache(repo.id, file.path, revision=repo.commit)
    return Path(found) if isinstance(found, str) else None


def download(
    repo: Repo,
    file: RepoFile,
    *,
    on_progress: OnProgress = no_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """Bring a file into the user's cache unless it is there; return where it lies.

    Its bytes are not hashed here: whoever takes them over hashes them anyway.

    Raises:
        SourceNotFound: the file is gone.
        DigestMismatch: the hub serves other bytes than it listed.
        RegistryError: the hub refuses, fails or cannot be reached.
        DiskFull: it would not fit into the cache.
        Cancelled: ``cancel`` was raised.
    """
    from huggingface_hub import constants, hf_hub_download

    present = cached(repo, file)
    if present is not None:
        return present
    _check_offer(repo, file)
    cache = Path(constants.HF_HUB_CACHE)
    require_free(file.size, cache)
    prepare()
    with hub_errors(repo.id, file.path), explained_write_errors(file.size, cache):
        path = hf_hub_download(
            repo.id,
            file.path,
            revision=repo.commit,
            library_name="localkit",
            library_version=__version__,
            etag_timeout=TIMEOUT_S,
            tqdm_class=_bar(file, on_progress, cancel),
        )
    return Path(path)


@contextmanager
def open_range(
    repo: Repo, file: RepoFile, start: int, end: int
) -> Iterator[RangeReply]:
    """Open the bytes of a file from ``start`` to ``end``, which is not included.

    Raises:
        SourceNotFound: the file is gone.
        RegistryError: the hub refuses, fails or cannot be reached, when the block
            is entered or inside it.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import get_session, hf_raise_for_status

    asked = {
        **headers(),
        "Accept-Encoding": "identity",
        "Range": f"bytes={start}-{end - 1}",
    }
    url = hf_hub_url(repo.id, file.path, revision=repo.commit)
    with (
        hub_errors(repo.id, file.path),
        get_session().stream("GET", url, headers=asked, timeout=TIMEOUT_S) as response,
    ):
        hf_raise_for_status(response)
        # A server that knows no ranges answers 200 with everything.
        begins = start if response.status_code == 206 else 0
        yield RangeReply(begins, file.size, None, response.iter_bytes())


def _check_offer(repo: Repo, file: RepoFile) -> None:
    """Ask for the file's description, and hold it to what the repo listed.

    Refusals come here, where they are told at once; inside the download the library
    would try again for a minute first.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with hub_errors(repo.id, file.path):
        offered = get_hf_file_metadata(
            hf_hub_url(repo.id, file.path, revision=repo.commit),
            timeout=TIMEOUT_S,
            headers=headers(),
        )
    etag = offered.etag or ""
    listed = file.sha256 or file.git_id or etag
    if (
        not _ETAG.fullmatch(etag)
        or etag != listed
        or offered.commit_hash != repo.commit
        or offered.size not in (None, file.size)
    ):
        raise DigestMismatch(
            f"{repo.id}: the hub lists {file.path} as {listed[:12]}… of {file.size} "
            f"bytes and offers {etag[:12]!r} of {offered.size}",
            hint="pull again; if it stays so, check HF_ENDPOINT",
        )


def _bar(
    file: RepoFile, on_progress: OnProgress, cancel: CancelToken | None
) -> type[Any]:
    """Return a progress bar that the library updates and nobody sees."""
    from huggingface_hub.utils import tqdm

    step = f"downloading {file.path.rpartition('/')[2]}"

    class Bar(tqdm):
        def __init__(self, *args: Any, name: str = "", **options: Any) -> None:
            # Xet's second bar counts compressed bytes.
            self._reports = not name.endswith(".transfer")
            super().__init__(  # type: ignore[no-untyped-call]
                *args, **{**options, "disable": True}
            )
            self.n = options.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if cancel is not None and cancel.cancelled:
                raise Cancelled(f"{step} was stopped", hint="pull again when you like")
            if self._reports:
                on_progress(Progress(step, self.n, file.size, "B"))

    return Bar
