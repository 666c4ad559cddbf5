from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from localkit.errors import DiskFull, StoreError
from localkit.io.disk import explained_write_errors, free_bytes, require_free

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_names_both_amounts(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DiskFull) as caught,
        explained_write_errors(5 << 20, tmp_path),
    ):
        raise OSError(number, "no room")
    assert caught.value.needed == 5 << 20
    assert caught.value.free == (free_bytes(tmp_path) if number == errno.ENOSPC else 0)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_S11_no_permission_says_what_to_change(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(StoreError, match="cannot be written") as caught,
        explained_write_errors(0, tmp_path),
    ):
        raise OSError(number, "no")
    assert "LOCALKIT_HOME" in caught.value.hint


def test_other_failures_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"), explained_write_errors(0, tmp_path):
        raise OSError(errno.EIO, "broken")


def test_free_space_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
    with pytest.raises(DiskFull):
        require_free(1 << 62, tmp_path / "not" / "yet")
