"""llama-perplexity's base file, read and written, with an exact side-car.

Layout (llama.cpp, tools/perplexity/perplexity.cpp), little-endian::

    "_logits_"  u32 n_ctx  i32 n_vocab  i32 n_chunks  i32 tokens[n_chunks * n_ctx]
    n_chunks * n_scored records of uint16 (see localkit.evals.text.log_probs)

The records round the base's log-probabilities to 16 bits, which shifts its
perplexity by up to a tenth of a per cent, as much as Q8_0 does (measured on two
texts: 26.394 for 26.428, 41.0552 for 41.0565). So the exact negative
log-likelihood and the most likely token of every position stand beside the file,
in ``<name>.exact.npz``. A file that llama-perplexity made has no side-car and is
read without one.
"""

from __future__ import annotations

import secrets
import struct
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.errors import NotComparable, ResultsInvalid
from localkit.evals.text.log_probs import HEAD, EncodedRows, ExactRows, record_width
from localkit.io.atomic import make_folders, publish
from localkit.io.disk import explained_write_errors, require_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from localkit.evals.text.windows import Windows

MAGIC = b"_logits_"
HEADER = struct.Struct("<8sIii")
MAX_COUNT = 1 << 24
"""No context, vocabulary or number of chunks is larger; a damaged header is."""
MEASURE_AGAIN = "delete it; it is written again when it is needed"


class BaseChunk(NamedTuple):
    """The base's part in comparing one chunk."""

    record: NDArray[np.uint16]
    """Shape (n_scored, record_width)."""
    exact: ExactRows | None
    """None: the file has no side-car."""


@dataclass(frozen=True, slots=True)
class LogitsFile:
    """A base file on disk: its header in memory, its records read chunk by chunk."""

    path: Path
    n_ctx: int
    n_vocab: int
    n_chunks: int
    tokens: NDArray[np.int32]
    """The text's own tokens, shape (n_chunks, n_ctx)."""
    exact: ExactRows | None
    """Shape (n_chunks, n_scored) each."""
    heads: NDArray[np.uint16] | None
    """Scale and lowest log-probability of every record, from the side-car."""

    @property
    def n_scored(self) -> int:
        """Scored tokens of one chunk."""
        return self.n_ctx - 1 - self.n_ctx // 2

    def chunk(self, index: int) -> BaseChunk:
        """Read one chunk.

        Plain reads, not a memory map: a file cut short while it is mapped would
        end the process with SIGBUS.

        Raises:
            ResultsInvalid: the file was cut short, or the side-car is another's.
        """
        width = record_width(self.n_vocab)
        count = self.n_scored * width
        start = HEADER.size + self.tokens.nbytes + index * count * 2
        words = np.fromfile(self.path, "<u2", count, offset=start)
        if words.size != count:
            msg = f"{self.path.name} ends inside chunk {index}"
            raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
        record = words.reshape(self.n_scored, width)
        if self.exact is None or self.heads is None:
            return BaseChunk(record, None)
        if not np.array_equal(record[:, :HEAD], self.heads[index]):
            msg = f"{self.path.name} and its side-car are not of one measurement"
            raise ResultsInvalid(msg, hint=f"delete {sidecar(self.path).name}")
        return BaseChunk(
            record, ExactRows(self.exact.nll[index], self.exact.top[index])
        )

    def require_match(self, windows: Windows, n_vocab: int) -> None:
        """Refuse a file that measured something else.

        Raises:
            NotComparable: another vocabulary, context length or text, or too
                few chunks.
        """
        hint = "measure the reference again on the same text"
        if self.n_vocab != n_vocab:
            msg = f"the reference's vocabulary has {self.n_vocab} tokens, not {n_vocab}"
            raise NotComparable(msg, hint="compare quants of one model")
        if self.n_ctx != windows.n_ctx:
            msg = f"the reference's chunks are {self.n_ctx} tokens, not {windows.n_ctx}"
            raise NotComparable(msg, hint=hint)
        if self.n_chunks < windows.n_chunks:
            msg = f"the reference has {self.n_chunks} chunks, not {windows.n_chunks}"
            raise NotComparable(msg, hint=hint)
        if not np.array_equal(self.tokens[: windows.n_chunks], windows.tokens):
            msg = "the reference was measured on other tokens"
            raise NotComparable(msg, hint=hint)


def sidecar(path: Path) -> Path:
    """Return where the exact figures of a base file are."""
    return path.with_name(f"{path.name}.exact.npz")


def open_logits(path: Path) -> LogitsFile:
    """Read a base file's header and side-car.

    Raises:
        ResultsInvalid: the file is not whole, or not such a file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(HEADER.size)
            if len(head) < HEADER.size or not head.startswith(MAGIC):
                msg = f"{path.name} does not hold log-probabilities"
                raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
            _, n_ctx, n_vocab, n_chunks = HEADER.unpack(head)
            sane = all(0 < count <= MAX_COUNT for count in (n_ctx, n_vocab, n_chunks))
            size = path.stat().st_size
            if not sane or size != file_size(n_ctx, n_vocab, n_chunks):
                msg = f"{path.name} is {size} bytes, but its header says otherwise"
                raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
            tokens = np.frombuffer(stream.read(4 * n_chunks * n_ctx), "<i4")
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror}"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN) from error
    tokens = tokens.reshape(n_chunks, n_ctx)
    exact, heads = _read_sidecar(path, n_chunks, n_ctx - 1 - n_ctx // 2)
    return LogitsFile(path, n_ctx, n_vocab, n_chunks, tokens, exact, heads)


def file_size(n_ctx: int, n_vocab: int, n_chunks: int) -> int:
    """Return the bytes of a base file."""
    words = (n_ctx - 1 - n_ctx // 2) * record_width(n_vocab)
    return HEADER.size + n_chunks * (4 * n_ctx + 2 * words)


@dataclass(slots=True)
class LogitsWriter:
    """A base file in the making."""

    stream: BinaryIO
    exact: list[ExactRows] = field(default_factory=list)
    heads: list[NDArray[np.uint16]] = field(default_factory=list)

    def append(self, chunk: EncodedRows) -> None:
        """Write the next chunk."""
        self.stream.write(np.ascontiguousarray(chunk.record, "<u2").data)
        self.exact.append(chunk.exact)
        self.heads.append(chunk.record[:, :HEAD].copy())


@contextmanager
def write_logits(path: Path, windows: Windows, n_vocab: int) -> Iterator[LogitsWriter]:
    """Write a base file and its side-car; both appear whole on exit, or not at all.

    Raises:
        DiskFull: there is not enough room; nothing is left behind.
        ResultsInvalid: fewer chunks were appended than the windows have.
    """
    needed = file_size(windows.n_ctx, n_vocab, windows.n_chunks)
    make_folders(path.parent)
    require_free(needed, path.parent)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    unfinished_sidecar = sidecar(unfinished)
    with ExitStack() as cleanup:
        cleanup.callback(unfinished.unlink, missing_ok=True)
        cleanup.callback(unfinished_sidecar.unlink, missing_ok=True)
        cleanup.enter_context(explained_write_errors(needed, path.parent))
        with unfinished.open("xb") as stream:
            stream.write(HEADER.pack(MAGIC, windows.n_ctx, n_vocab, windows.n_chunks))
            stream.write(np.ascontiguousarray(windows.tokens, "<i4").data)
            writer = LogitsWriter(stream)
            yield writer
        if len(writer.exact) != windows.n_chunks:
            msg = f"{len(writer.exact)} of {windows.n_chunks} chunks were written"
            raise ResultsInvalid(msg, hint="append every chunk before leaving")
        np.savez(
            unfinished_sidecar,
            nll=np.stack([rows.nll for rows in writer.exact]),
            top=np.stack([rows.top for rows in writer.exact]),
            heads=np.stack(writer.heads),
        )
        # The side-car first: a base file that is there has its side-car.
        publish(unfinished_sidecar, sidecar(path))
        publish(unfinished, path)


def _read_sidecar(
    path: Path, n_chunks: int, n_scored: int
) -> tuple[ExactRows | None, NDArray[np.uint16] | None]:
    """Read the exact figures beside a base file, if they are there."""
    beside = sidecar(path)
    if not beside.exists():
        return None, None
    try:
        with (
            beside.open("rb") as stream,
            np.load(stream, allow_pickle=False) as arrays,
        ):
            nll, top, heads = arrays["nll"], arrays["top"], arrays["heads"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{beside.name} cannot be read"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN) from error
    shape = (n_chunks, n_scored)
    if nll.shape != shape or top.shape != shape or heads.shape != (*shape, HEAD):
        msg = f"{beside.name} holds {nll.shape} figures, not {shape}"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
    return ExactRows(nll, top), heads
