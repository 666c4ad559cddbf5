"""Addresses within a registry: the only code that makes them of refs and digests.

Parts of a ref and digests are checked when they are made, and quoted here all the
same, so that no name leads to another route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from localkit.io.http.address import is_loopback_host
from localkit.store.digest import file_name

if TYPE_CHECKING:
    from localkit.store.ref import ModelRef


def base_url(host: str, *, insecure: bool = False) -> str:
    """Return ``https://host``; ``http`` on this machine, or when asked for."""
    scheme = "http" if insecure or is_loopback_host(host) else "https"
    return f"{scheme}://{host}"


def repository(ref: ModelRef) -> str:
    """Return what the registry calls the model: ``library/smollm2``."""
    return f"{ref.namespace}/{ref.model}"


def manifest(name: str, reference: str) -> str:
    """Return where a manifest is; ``reference`` is a tag or a digest."""
    return f"/v2/{quote(name)}/manifests/{quote(reference, safe=':')}"


def tags(name: str) -> str:
    """Return where the list of a model's tags is."""
    return f"/v2/{quote(name)}/tags/list"


def blob(name: str, digest: str) -> str:
    """Return where a blob is.

    Raises:
        RefError: ``digest`` is not a digest.
    """
    file_name(digest)
    return f"/v2/{quote(name)}/blobs/{digest}"


def uploads(name: str, *, mount: str | None = None, source: str | None = None) -> str:
    """Return where an upload begins.

    Args:
        name: The repository to put a blob into.
        mount: Digest to take over from another repository, if it is there.
        source: That repository.
    """
    path = f"/v2/{quote(name)}/blobs/uploads/"
    if mount is None or source is None:
        return path
    return f"{path}?{urlencode({'mount': mount, 'from': source})}"


def finished(upload: str, digest: str) -> str:
    """Return where the last request of an upload goes."""
    joint = "&" if "?" in upload else "?"
    return f"{upload}{joint}{urlencode({'digest': digest})}"
