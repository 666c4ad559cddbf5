from __future__ import annotations

import pytest

from localkit.config import settings
from localkit.errors import RegistryError
from localkit.store.registry.limits import LARGEST_PART, SMALLEST_PART, Limits
from localkit.store.registry.parts import Parts
from localkit.store.registry.tries import Tries

GIB = 1 << 30


@pytest.mark.parametrize("size", [0, 1, 100 << 20, 5 * GIB, 400 * GIB])
def test_parts_are_neither_tiny_nor_huge_and_make_up_the_blob(size: int) -> None:
    part_size = Limits().part_size_of(size)
    assert SMALLEST_PART <= part_size <= LARGEST_PART
    parts = Parts(size, part_size)
    lengths = [parts.length(part) for part in range(len(parts))]
    assert sum(lengths) == size
    assert all(0 < length <= part_size for length in lengths)


@pytest.mark.parametrize("n_streams", [1, 4, 16, 64])
def test_what_is_not_noted_is_never_more_than_two_mib(n_streams: int) -> None:
    limits = Limits(n_streams=n_streams)
    assert 0 < limits.note_every * n_streams <= 2 << 20


def test_the_number_of_connections_is_ollamas_knob(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings().max_transfer_streams == 4
    settings.cache_clear()
    monkeypatch.setenv("OLLAMA_MAX_TRANSFER_STREAMS", "9")
    assert settings().max_transfer_streams == 9


def test_P4_waits_grow_to_a_bound_and_a_success_fills_the_budget() -> None:
    tries, busy = Tries(Limits()), RegistryError("busy", retryable=True)
    waits = [tries.failed(busy) for _ in range(5)]
    assert all(0.05 <= wait <= 10 for wait in waits)
    assert waits[4] > waits[0]
    tries.reset()
    assert tries.failed(busy) <= 0.1
    for _ in range(4):
        tries.failed(busy)
    with pytest.raises(RegistryError, match="busy"):
        tries.failed(busy)


def test_P4_a_server_that_asks_for_a_wait_gets_it_up_to_a_minute() -> None:
    tries = Tries(Limits())
    asked = RegistryError("busy", retryable=True, retry_after_s=30)
    assert tries.failed(asked) == 30
    with pytest.raises(RegistryError):
        tries.failed(RegistryError("busy", retryable=True, retry_after_s=61))
