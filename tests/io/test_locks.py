from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from localkit.errors import StoreLocked
from localkit.io.locks import hold, holder_of, try_hold

if TYPE_CHECKING:
    from pathlib import Path


def test_S4_whoever_waits_in_vain_learns_who_holds_it_and_for_what(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "lock"
    caught: list[StoreLocked] = []

    def wait_in_vain() -> None:
        with pytest.raises(StoreLocked) as error, hold(lock, purpose="b", timeout_s=0):
            pass
        caught.append(error.value)

    with hold(lock, purpose="adding smollm2:q4_1"):
        waiting = threading.Thread(target=wait_in_vain)
        waiting.start()
        waiting.join()
    (error,) = caught
    assert f"process {os.getpid()} (adding smollm2:q4_1)" in str(error)
    assert error.retryable


def test_it_is_free_afterwards_and_the_file_stays(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with hold(lock, purpose="one"):
        pass
    assert lock.exists()
    with hold(lock, purpose="two", timeout_s=0):
        pass


def test_it_is_free_after_an_error_in_the_block(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with pytest.raises(KeyError), hold(lock, purpose="one"):
        raise KeyError
    with hold(lock, purpose="two", timeout_s=0):
        pass


def test_S4_who_only_tries_is_told_at_once_and_by_whom(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with try_hold(lock, purpose="pulling") as first:
        assert first
        with try_hold(lock, purpose="pruning") as second:
            assert not second
        assert holder_of(lock) == f"process {os.getpid()} (pulling)"
    assert holder_of(lock) == "another process"
    with try_hold(lock, purpose="pruning") as third:
        assert third


def test_a_lock_file_that_its_holder_removes_is_made_anew(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with try_hold(lock, purpose="one") as held:
        assert held
        lock.unlink()
    with try_hold(lock, purpose="two") as held:
        assert held
        assert lock.exists()
