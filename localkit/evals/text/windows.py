"""Cut a text into the chunks that llama-perplexity scores.

Source: llama.cpp, tools/perplexity/perplexity.cpp, ``perplexity()``, and
common/arg.cpp (``-f`` drops one trailing newline).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import DatasetInvalid, NotComparable
from localkit.evals.text.chunks import Stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.runtime.protocol import Session


MAGIC = b"_logits_"
"""How llama-perplexity's base file begins."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A text cut into chunks of ``n_ctx`` tokens; the second half of each is scored."""

    n_ctx: int
    tokens: NDArray[np.int32]
    """The text's own tokens, shape (n_chunks, n_ctx)."""
    inputs: tuple[tuple[int, ...], ...]
    """Tokens to decode, a chunk each: `tokens` with BOS in front where the model
    wants one."""
    digest: str
    """sha256 over the whole text's tokens and ``n_ctx``: equal means that chunk ``i``
    is the same measurement, however many chunks are in use."""
    n_bytes_scored: tuple[int, ...]
    """UTF-8 bytes of each chunk's scored tokens, for bits per byte. A character
    cut by a chunk's edge may count up to two bytes too many or too few."""

    @property
    def n_chunks(self) -> int:
        """Chunks in use."""
        return len(self.inputs)

    @property
    def first(self) -> int:
        """Position of the first logits that are scored."""
        return self.n_ctx // 2

    @property
    def n_scored(self) -> int:
        """Scored tokens of one chunk: 255 of 512."""
        return self.n_ctx - 1 - self.first

    @property
    def targets(self) -> NDArray[np.int32]:
        """Tokens to predict, shape (n_chunks, n_scored)."""
        return self.tokens[:, self.first + 1 :]

    @property
    def magic(self) -> bytes:
        """Kind of base file: llama-perplexity's."""
        return MAGIC

    def own(self, index: int) -> NDArray[np.int32]:
        """Return a chunk's own tokens."""
        return self.tokens[index, :]

    def n_rows(self, index: int) -> int:
        """Return how many tokens of a chunk are scored: of all the same."""
        del index
        return self.n_scored

    def stretches(self, index: int) -> tuple[Stretch]:
        """Return the whole chunk: it is decoded at once.

        Its last token too, which predicts one of the next chunk: as
        llama-perplexity does, so that the batches have the same shapes.
        """
        return (Stretch(self.inputs[index], self.first, self.targets[index]),)

    def shown(self, index: int) -> list[int]:
        """Return the scored tokens and the one before them."""
        return list(self.tokens[index, self.first :].tolist())


def cut_windows(
    session: Session, text: str, *, n_ctx: int = 512, max_chunks: int | None = None
) -> Windows:
    """Tokenize ``text`` once and cut it as llama-perplexity does.

    Raises:
        DatasetInvalid: fewer than ``2 * n_ctx`` tokens.
        NotComparable: the tokenizer ends every text with a token of its own,
            which llama-perplexity refuses too.
    """
    refuse_appended_token(session)
    stream = session.tokenize(
        text.removesuffix("\n"), add_special=True, parse_special=False
    )
    if len(stream) < 2 * n_ctx:
        msg = f"the text is {len(stream)} tokens but at least {2 * n_ctx} are needed"
        raise DatasetInvalid(msg, hint=f"take a longer text, or n_ctx below {n_ctx}")
    n_chunks = len(stream) // n_ctx
    if max_chunks is not None:
        n_chunks = min(n_chunks, max_chunks)
    tokens = np.asarray(stream[: n_chunks * n_ctx], np.int32).reshape(n_chunks, n_ctx)
    decoded = tokens
    if session.adds_bos and session.bos is not None:
        decoded = tokens.copy()
        decoded[:, 0] = session.bos
    first = n_ctx // 2
    return Windows(
        n_ctx=n_ctx,
        tokens=tokens,
        inputs=tuple(tuple(row) for row in decoded.tolist()),
        digest=token_digest(stream, n_ctx),
        n_bytes_scored=tuple(
            n_bytes(session, row[first:], skip=1) for row in tokens.tolist()
        ),
    )


def refuse_appended_token(session: Session) -> None:
    """Refuse a tokenizer that adds an end token after a text."""
    plain = session.tokenize("a", add_special=False)
    special = session.tokenize("a", add_special=True)
    if special[-len(plain) :] != plain:
        msg = f"the tokenizer of {session.info.name} ends every text with a token"
        raise NotComparable(msg, hint="perplexity is defined for decoder models only")


def n_bytes(session: Session, tokens: Sequence[int], *, skip: int) -> int:
    """Return the UTF-8 bytes of ``tokens[skip:]``.

    The difference of two texts that begin alike, because a tokenizer may drop
    the space that a text begins with.
    """
    whole = session.detokenize(tokens).encode()
    return len(whole) - len(session.detokenize(tokens[:skip]).encode())


def token_digest(stream: Sequence[int], n_ctx: int) -> str:
    """Return the sha256 over a token stream and its context length."""
    sha256 = hashlib.sha256(f"n_ctx={n_ctx}\n".encode())
    sha256.update(np.asarray(stream, dtype="<i4").tobytes())
    return f"sha256:{sha256.hexdigest()}"
