"""Score a user's own prompts: documents in windows of their own.

A document begins where its text begins, so even its second token has all the
context there is: every token but the first is scored, once. Of a document longer
than ``n_ctx`` the first window is scored whole; each further one lies half a
window on and is scored in its second half, so that no token sees less than half a
window. `design/014-two-ways-to-score.md` says why.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import DatasetInvalid
from localkit.evals.text.chunks import Stretch
from localkit.evals.text.windows import cut_windows, n_bytes, refuse_appended_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from localkit.evals.text.chunks import Chunks
    from localkit.runtime.protocol import Session

MAGIC = b"_rowdocs"
"""How our base file of documents begins: llama-perplexity's has one length only."""
FEWEST = 2
"""Tokens that a document needs: one to predict from, one to predict."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents cut into windows; a chunk is a document."""

    n_ctx: int
    tokens: tuple[NDArray[np.int32], ...]
    """Each document's own tokens, BOS among them where the tokenizer adds one."""
    bos: int | None
    """Put over the first token of every further window; None: the model wants none."""
    digest: str
    """sha256 over all documents' tokens and ``n_ctx``."""
    n_bytes_scored: tuple[int, ...]
    """UTF-8 bytes of each document's scored tokens."""

    @property
    def n_chunks(self) -> int:
        """Documents in use."""
        return len(self.tokens)

    @property
    def magic(self) -> bytes:
        """Kind of base file: ours."""
        return MAGIC

    def own(self, index: int) -> NDArray[np.int32]:
        """Return a document's own tokens."""
        return self.tokens[index]

    def n_rows(self, index: int) -> int:
        """Return how many tokens of a document are scored: all but the first."""
        return self.tokens[index].size - 1

    def stretches(self, index: int) -> list[Stretch]:
        """Return the windows of a document, every scored token in one of them."""
        tokens = self.tokens[index]
        found = [_stretch(tokens[: self.n_ctx], 1)]
        step = self.n_ctx // 2
        for scored in range(self.n_ctx, tokens.size, step):
            start = scored + step - self.n_ctx
            window = tokens[start : scored + step].copy()
            if self.bos is not None:
                window[0] = self.bos
            found.append(_stretch(window, scored - start))
        return found

    def shown(self, index: int) -> list[int]:
        """Return a document's tokens: the scored ones and the first."""
        return list(self.tokens[index].tolist())


def cut(
    session: Session,
    text: str | Sequence[str],
    *,
    n_ctx: int = 512,
    max_chunks: int | None = None,
) -> Chunks:
    """Cut one text into windows, or several into documents.

    Raises:
        DatasetInvalid: the text is too short, or a document has nothing to predict.
        NotComparable: the tokenizer ends every text with a token of its own.
    """
    if isinstance(text, str):
        return cut_windows(session, text, n_ctx=n_ctx, max_chunks=max_chunks)
    return cut_documents(session, text, n_ctx=n_ctx, max_chunks=max_chunks)


def cut_documents(
    session: Session,
    texts: Sequence[str],
    *,
    n_ctx: int = 512,
    max_chunks: int | None = None,
) -> Documents:
    """Tokenize each document as it stands, and take the first ``max_chunks``.

    Raises:
        DatasetInvalid: there is no document, one has fewer than two tokens, or
            ``n_ctx`` leaves no half.
        NotComparable: the tokenizer ends every text with a token of its own.
    """
    refuse_appended_token(session)
    if n_ctx < 2 * FEWEST:
        msg = f"n_ctx is {n_ctx}, but a window has two halves to be scored in"
        raise DatasetInvalid(msg, hint="take 512, or what the model is used with")
    streams = [
        session.tokenize(text, add_special=True, parse_special=False) for text in texts
    ]
    if not streams:
        msg = "there is no document to score"
        raise DatasetInvalid(msg, hint="give at least one text")
    for index, stream in enumerate(streams):
        if len(stream) < FEWEST:
            msg = f"document {index} is {len(stream)} tokens: nothing to predict"
            raise DatasetInvalid(
                msg, hint=f"leave it out, or lengthen {texts[index]!r}"
            )
    used = streams[:max_chunks]
    return Documents(
        n_ctx=n_ctx,
        tokens=tuple(np.asarray(stream, np.int32) for stream in used),
        bos=session.bos if session.adds_bos else None,
        digest=_token_digest(streams, n_ctx),
        n_bytes_scored=tuple(n_bytes(session, stream, skip=1) for stream in used),
    )


def text_digest(text: str | Sequence[str]) -> str:
    """Return what names a text, or documents, in the spec of a cell."""
    if isinstance(text, str):
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    sha256 = hashlib.sha256(b"documents\n")
    for one in text:
        content = one.encode()
        sha256.update(b"%d\n" % len(content) + content)
    return f"sha256:{sha256.hexdigest()}"


def _stretch(window: NDArray[np.int32], scored_from: int) -> Stretch:
    """Return the stretch that predicts ``window[scored_from:]``."""
    inputs = tuple(window[:-1].tolist())
    return Stretch(inputs, scored_from - 1, window[scored_from:])


def _token_digest(streams: Sequence[Sequence[int]], n_ctx: int) -> str:
    sha256 = hashlib.sha256(f"documents n_ctx={n_ctx}\n".encode())
    for stream in streams:
        sha256.update(b"%d\n" % len(stream))
        sha256.update(np.asarray(stream, dtype="<i4").tobytes())
    return f"sha256:{sha256.hexdigest()}"
