"""Digests: ``sha256:`` and 64 lower-case hexadecimal digits, nothing else.

Ollama reads upper-case digits too, which makes two files of one digest; here
there is one spelling. ``fullmatch``, because ``$`` admits a trailing newline.
"""

from __future__ import annotations

import hashlib
import re

from localkit.errors import RefError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHORT = 12
_FILE_NAME = re.compile(r"sha256-[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Return whether ``text`` is a digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_from_hex(sha256: str) -> str:
    """Return the digest of 64 hexadecimal digits.

    Raises:
        RefError: they are not.
    """
    digest = f"sha256:{sha256}"
    if not is_digest(digest):
        raise RefError(f"'{sha256[:70]}' is not the sha256 of anything")
    return digest


def digest_of(data: bytes) -> str:
    """Return the digest of ``data``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def file_name(digest: str) -> str:
    """Return the name of a blob's file: ``sha256-`` and the digits.

    Raises:
        RefError: ``digest`` is not a digest.
    """
    if not is_digest(digest):
        raise RefError(
            f"{digest[:80]!r} is not a digest",
            hint="write sha256: and 64 lower-case hexadecimal digits",
        )
    return digest.replace(":", "-", 1)


def digest_of_name(name: str) -> str | None:
    """Return the digest that a file's name stands for; None for other names."""
    return name.replace("-", ":", 1) if _FILE_NAME.fullmatch(name) else None


def short_id(digest: str) -> str:
    """Return the first twelve hexadecimal digits: what lists show."""
    return digest.removeprefix("sha256:")[:_SHORT]


def short_digest(digest: str) -> str:
    """Return ``sha256:`` and twelve digits, with an ellipsis: what messages show."""
    return f"sha256:{short_id(digest)}…"
