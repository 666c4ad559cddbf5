"""Telling what a file is that is not a GGUF, from how it starts."""

from __future__ import annotations

from typing import Final

_STARTS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"PK\x03\x04", "a zip archive or PyTorch checkpoint", ""),
    (b"\x80\x02", "a Python pickle", ""),
    (b"\x1f\x8b", "gzip-compressed", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it first"),
    (b"\xfd7zXZ\x00", "xz-compressed", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"\x89HDF", "an HDF5 file", ""),
    (b"lmgg", "a model in the old GGML format", ""),
    (b"fmgg", "a model in the old GGMF format", ""),
    (b"tjgg", "a model in the old GGJT format", ""),
    (b"FUGG", "a GGUF written for a big-endian machine", ""),
    (
        b"version https://git-lfs",
        "a Git LFS pointer",
        "fetch the real file: `git lfs pull`",
    ),
)
_CONVERT: Final = "get a GGUF; `localkit add FOLDER` converts safetensors"
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml", b"<head")


def describe(start: bytes) -> tuple[str, str]:
    """Return what a file starting with ``start`` looks like, and the way out.

    Args:
        start: the first bytes of the file; 64 are enough.
    """
    if not start:
        return "is empty", "get the file again"
    for magic, what, hint in _STARTS:
        if start.startswith(magic):
            return f"looks like {what}", hint or _CONVERT
    # safetensors: a little-endian header length, then a JSON object
    if len(start) > 8 and start[8:9] == b"{" and start[5:8] == b"\0\0\0":
        return "looks like safetensors", _CONVERT
    text = start.lstrip().lower()
    if text.startswith(_MARKUP):
        return (
            "looks like a web page",
            "the download gave a page instead of the file: get it again",
        )
    if text.startswith((b"{", b"[")):
        return "looks like JSON", "the download gave an answer instead of the file"
    if not any(start):
        return "starts with zeros", "the download did not finish: get it again"
    return f"starts with {start[:4]!r}", "get the file again, or check what it is"
