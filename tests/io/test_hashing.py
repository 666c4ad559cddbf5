from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from localkit.errors import Cancelled
from localkit.events import CancelToken, Progress
from localkit.io.hashing import CHUNK_SIZE, hash_stream
from localkit.io.regular import open_regular

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("size", [0, 1, CHUNK_SIZE, CHUNK_SIZE + 1])
def test_hash_and_size_are_those_of_the_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(i % 251 for i in range(size % 997)) + b"\0" * (size - size % 997)
    (tmp_path / "file").write_bytes(data)
    with open_regular(tmp_path / "file") as stream:
        hashed = hash_stream(stream)
    assert hashed == (hashlib.sha256(data).hexdigest(), size)


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0" * (CHUNK_SIZE + 5))
    reports: list[Progress] = []
    with open_regular(tmp_path / "file") as stream:
        hash_stream(stream, on_progress=reports.append)
    assert [report.done for report in reports] == [CHUNK_SIZE, CHUNK_SIZE + 5]
    assert reports[-1] == Progress("hashing", CHUNK_SIZE + 5, CHUNK_SIZE + 5, "B")


def test_cancel_stops_before_the_next_chunk(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0" * (3 * CHUNK_SIZE))
    token, reports = CancelToken(), []

    def stop_at_once(report: Progress) -> None:
        reports.append(report)
        token.cancel()

    with (
        open_regular(tmp_path / "file") as stream,
        pytest.raises(Cancelled, match="hashing"),
    ):
        hash_stream(stream, on_progress=stop_at_once, cancel=token)
    assert len(reports) == 1
