from __future__ import annotations

import pytest

from localkit.runtime.memory.context_length import exactly, round_down, round_up, wish

BUCKETS = [256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384]


def test_buckets_are_powers_of_two_and_the_middles_between_them() -> None:
    assert sorted({round_up(n) for n in range(1, 16385)}) == BUCKETS
    assert sorted({round_down(n) for n in range(256, 16385)}) == BUCKETS
    for n in range(1, 40000, 7):
        assert round_down(n) <= n <= round_up(n)
    assert round_down(255) == 0


def test_a_client_that_asks_for_ever_more_reloads_a_handful_of_times() -> None:
    """aider asks for 1.25 times its tokens and 8192; here 500 to 40,000 tokens."""
    asked = [int(1.25 * n) + 8192 for n in range(500, 40_000, 500)]
    assert len({round_up(n) for n in asked}) == 6
    assert max(round_up(n) / n for n in asked) < 1.5


@pytest.mark.parametrize(
    ("asked", "n_ctx_train", "expected"),
    [
        (None, 131072, (4096, 512, 4096)),
        (None, 2048, (2048, 512, 2048)),
        (None, 300, (300, 300, 300)),
        (None, 0, (4096, 512, 4096)),
        (5000, 131072, (6144, 5000, 5000)),
        (1900, 2000, (2000, 1900, 1900)),  # the bucket ends at the training context
        (3000, 2000, (3000, 3000, 3000)),  # who asks for more gets just that
        (100, 2000, (256, 100, 100)),
    ],
)
def test_what_is_allocated_for_what_was_asked(
    asked: int | None, n_ctx_train: int, expected: tuple[int, int, int]
) -> None:
    assert wish(asked, n_ctx_train=n_ctx_train, default=4096) == expected
    exact = exactly(asked, n_ctx_train=n_ctx_train, default=4096)
    assert len(set(exact)) == 1
