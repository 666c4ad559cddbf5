"""Context lengths in buckets, so that clients that ask for a little more do not reload.

A client such as aider asks for 1.25 times its tokens and 8192, another length
with every request. Each length rounds up to a bucket: 256, 512, 768, 1024,
1536, 2048, 3072, …: powers of two and the middles between them.
"""

from __future__ import annotations

from typing import NamedTuple

from localkit.gguf.estimate import CELLS

_LEAST_DEFAULT = 512
"""A default load is refused rather than given less than this many tokens."""


class Wish(NamedTuple):
    """The context length that a load would like, and with what it makes do."""

    wanted: int
    """Allocated when it fits."""
    least: int
    """Refused below this."""
    serves: int
    """A resident model of at least this length need not be loaded again."""


def wish(asked: int | None, *, n_ctx_train: int, default: int) -> Wish:
    """Return what to allocate for ``asked`` tokens; None: the default.

    The default is at most the training context. Who asks for more than that
    gets what was asked, without a bucket on top.
    """
    if asked is None:
        wanted = min(default, n_ctx_train or default)
        return Wish(wanted, min(wanted, _LEAST_DEFAULT), wanted)
    bucket = round_up(asked)
    if n_ctx_train:
        bucket = max(asked, min(bucket, n_ctx_train))
    return Wish(bucket, asked, asked)


def exactly(n_ctx: int | None, *, n_ctx_train: int, default: int) -> Wish:
    """Return a wish for ``n_ctx`` tokens and no other number: for measurements."""
    if n_ctx is None:
        n_ctx = min(default, n_ctx_train or default)
    return Wish(n_ctx, n_ctx, n_ctx)


def round_up(n_ctx: int) -> int:
    """Return the smallest bucket that holds ``n_ctx`` tokens."""
    if n_ctx <= CELLS:
        return CELLS  # llama.cpp allocates no less
    power = 1 << (n_ctx - 1).bit_length()
    middle = power * 3 // 4
    return middle if n_ctx <= middle and middle % CELLS == 0 else power


def round_down(n_ctx: int) -> int:
    """Return the largest bucket of at most ``n_ctx`` tokens; 0 below the first."""
    if n_ctx < CELLS:
        return 0
    power = 1 << (n_ctx.bit_length() - 1)
    middle = power * 3 // 2
    return middle if n_ctx >= middle and middle % CELLS == 0 else power
