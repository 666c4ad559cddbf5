"""The header of a safetensors file, checked against its size.

Eight bytes say how long the JSON header is; the header says where each tensor lies in
the rest. The tensors fill it without gaps (the format's definition), so a file that
was cut or padded shows.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from localkit.errors import ConvertFailed
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path

MAX_HEADER = 100_000_000
"""Bytes, as the format's own reader allows."""
_HINT = "get the file again"


def check_safetensors(path: Path) -> int:
    """Return the bytes of a safetensors file whose header fits its size.

    Raises:
        ConvertFailed: it is damaged, cut, or no safetensors.
        SourceNotFound: there is no plain file.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        n_header = int.from_bytes(stream.read(8) or b"", "little") if size > 8 else 0
        if not 2 <= n_header <= min(MAX_HEADER, size - 8):
            raise ConvertFailed(f"'{path}' is not a safetensors file", hint=_HINT)
        text = stream.read(n_header) or b""
    try:
        header = json.loads(text)
        entries = [one for name, one in header.items() if name != "__metadata__"]
        spans = sorted(tuple(map(int, one["data_offsets"])) for one in entries)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConvertFailed(
            f"'{path}' has a header that cannot be read", hint=_HINT
        ) from error
    end = 0
    for span in spans:
        if len(span) != 2 or span[0] != end or span[1] < end:
            raise ConvertFailed(f"'{path}' has tensors that overlap", hint=_HINT)
        end = span[1]
    if 8 + n_header + end != size:
        raise ConvertFailed(
            f"'{path}' has {size} bytes, and its header speaks of {8 + n_header + end}",
            hint=f"the file is cut or damaged: {_HINT}",
        )
    return size
