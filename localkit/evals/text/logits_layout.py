"""What lies where in a base file.

llama-perplexity's (llama.cpp, tools/perplexity/perplexity.cpp), little-endian::

    "_logits_"  u32 n_ctx  i32 n_vocab  i32 n_chunks  i32 tokens[n_chunks * n_ctx]
    n_chunks * n_scored records of uint16 (see localkit.evals.text.log_probs)

Ours for documents, which have a length of their own each, and are scored from
their second token on::

    "_rowdocs"  u32 n_ctx  i32 n_vocab  i32 n_chunks  i32 lengths[n_chunks]
    i32 tokens[Σ lengths]  Σ (lengths - 1) records
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localkit.errors import ResultsInvalid
from localkit.evals.text.documents import FEWEST
from localkit.evals.text.documents import MAGIC as DOCUMENTS
from localkit.evals.text.log_probs import record_width
from localkit.evals.text.windows import MAGIC as WINDOWS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from localkit.evals.text.chunks import Chunks

HEADER = struct.Struct("<8sIii")
MAX_COUNT = 1 << 24
"""No context, vocabulary or number of chunks is larger; a damaged header is."""
MEASURE_AGAIN = "delete it; it is written again when it is needed"


@dataclass(frozen=True, slots=True)
class Layout:
    """The header of a base file."""

    magic: bytes
    n_ctx: int
    n_vocab: int
    lengths: tuple[int, ...]
    """Tokens of each chunk."""

    @classmethod
    def of(cls, chunks: Chunks, n_vocab: int) -> Layout:
        """Return the layout that holds ``chunks``."""
        lengths = tuple(chunks.own(index).size for index in range(chunks.n_chunks))
        return cls(chunks.magic, chunks.n_ctx, n_vocab, lengths)

    @property
    def n_tokens(self) -> int:
        """Tokens of all chunks."""
        return sum(self.lengths)

    @property
    def n_rows(self) -> int:
        """Records of all chunks."""
        return sum(map(self._n_scored, self.lengths))

    @property
    def head_size(self) -> int:
        """Bytes before the first record."""
        n_lengths = len(self.lengths) if self.magic == DOCUMENTS else 0
        return HEADER.size + 4 * (n_lengths + self.n_tokens)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.head_size + 2 * record_width(self.n_vocab) * self.n_rows

    def span(self, index: int) -> slice:
        """Return where a chunk's tokens are among all."""
        start = sum(self.lengths[:index])
        return slice(start, start + self.lengths[index])

    def rows(self, index: int) -> slice:
        """Return where a chunk's records are among all."""
        start = sum(map(self._n_scored, self.lengths[:index]))
        return slice(start, start + self._n_scored(self.lengths[index]))

    def head(self) -> bytes:
        """Return what the file begins with, before the tokens."""
        head = HEADER.pack(self.magic, self.n_ctx, self.n_vocab, len(self.lengths))
        if self.magic == DOCUMENTS:
            head += np.asarray(self.lengths, "<i4").tobytes()
        return head

    def _n_scored(self, length: int) -> int:
        return length - 1 if self.magic == DOCUMENTS else length - 1 - length // 2


def read_layout(stream: BinaryIO, path: Path) -> Layout:
    """Read a header; the stream then stands before the tokens.

    Raises:
        ResultsInvalid: it is none, or its file is not as long as it says.
    """
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size or not head.startswith((WINDOWS, DOCUMENTS)):
        msg = f"{path.name} does not hold log-probabilities"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
    magic, n_ctx, n_vocab, n_chunks = HEADER.unpack(head)
    size = path.stat().st_size
    sane = all(0 < count <= MAX_COUNT for count in (n_ctx, n_vocab, n_chunks))
    if sane and 4 * n_chunks <= size:
        if magic == WINDOWS:
            lengths: tuple[int, ...] = (n_ctx,) * n_chunks
        else:
            lengths = tuple(np.frombuffer(stream.read(4 * n_chunks), "<i4").tolist())
            sane = len(lengths) == n_chunks and min(lengths) >= FEWEST
        layout = Layout(magic, n_ctx, n_vocab, lengths)
        if sane and size == layout.size:
            return layout
    msg = f"{path.name} is {size} bytes, but its header says otherwise"
    raise ResultsInvalid(msg, hint=MEASURE_AGAIN)


def file_size(n_ctx: int, n_vocab: int, n_chunks: int) -> int:
    """Return the bytes of llama-perplexity's base file."""
    return Layout(WINDOWS, n_ctx, n_vocab, (n_ctx,) * n_chunks).size
