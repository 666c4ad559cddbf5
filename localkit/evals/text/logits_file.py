"""llama-perplexity's base file, read and written, with an exact side-car.

The records round the base's log-probabilities to 16 bits, which shifts its
perplexity by up to a tenth of a per cent, as much as Q8_0 does (measured on two
texts: 26.394 for 26.428, 41.0552 for 41.0565). So the exact negative
log-likelihood and the most likely token of every position stand beside the file,
in ``<name>.exact.npz``. A file that llama-perplexity made has no side-car and is
read without one.
"""

from __future__ import annotations

import secrets
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from localkit.errors import NotComparable, ResultsInvalid
from localkit.evals.text.log_probs import HEAD, EncodedRows, ExactRows, record_width
from localkit.evals.text.logits_layout import MEASURE_AGAIN, Layout, read_layout
from localkit.io.atomic import make_folders, publish
from localkit.io.disk import explained_write_errors, require_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from localkit.evals.text.chunks import Chunks
    from localkit.runtime.protocol import Session


ONE_MODEL = "compare quants of one model"


class BaseChunk(NamedTuple):
    """The base's part in comparing one chunk."""

    record: NDArray[np.uint16]
    """Shape (n_scored, record_width)."""
    exact: ExactRows | None
    """None: the file has no side-car."""


class Origin(NamedTuple):
    """Who computed a base file; kept in the side-car."""

    vocab_digest: str
    """sha256 over the reference's tokens and merges."""
    engine: str
    """Versions, backend and instruction sets of the engine."""

    @classmethod
    def of(cls, session: Session) -> Origin:
        """Return what a loaded model would write."""
        engine = session.fingerprint
        build = f"{engine.engine}, {engine.backend}, {engine.features}"
        return cls(session.info.vocab_digest, build)


@dataclass(frozen=True, slots=True)
class LogitsFile:
    """A base file on disk: its header in memory, its records read chunk by chunk."""

    path: Path
    layout: Layout
    tokens: NDArray[np.int32]
    """The text's own tokens, one chunk behind the other."""
    exact: ExactRows | None
    """Of all rows, one chunk behind the other."""
    heads: NDArray[np.uint16] | None
    """Scale and lowest log-probability of every record, from the side-car."""
    origin: Origin | None
    """None: the file has no side-car, as llama-perplexity's have none."""

    @property
    def n_ctx(self) -> int:
        """Tokens of the longest stretch that was decoded at once."""
        return self.layout.n_ctx

    @property
    def n_vocab(self) -> int:
        """Size of the vocabulary."""
        return self.layout.n_vocab

    @property
    def n_chunks(self) -> int:
        """Chunks in the file."""
        return len(self.layout.lengths)

    def chunk(self, index: int) -> BaseChunk:
        """Read one chunk.

        Plain reads, not a memory map: a file cut short while it is mapped would
        end the process with SIGBUS.

        Raises:
            ResultsInvalid: the file was cut short, or the side-car is another's.
        """
        width = record_width(self.n_vocab)
        rows = self.layout.rows(index)
        count = (rows.stop - rows.start) * width
        start = self.layout.head_size + rows.start * width * 2
        words = np.fromfile(self.path, "<u2", count, offset=start)
        if words.size != count:
            msg = f"{self.path.name} ends inside chunk {index}"
            raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
        record = words.reshape(-1, width)
        if self.exact is None or self.heads is None:
            return BaseChunk(record, None)
        if not np.array_equal(record[:, :HEAD], self.heads[rows]):
            msg = f"{self.path.name} and its side-car are not of one measurement"
            raise ResultsInvalid(msg, hint=f"delete {sidecar(self.path).name}")
        return BaseChunk(record, ExactRows(self.exact.nll[rows], self.exact.top[rows]))

    def require_match(
        self, chunks: Chunks, n_vocab: int, origin: Origin | None = None
    ) -> None:
        """Refuse a file that measured something else.

        Of a file that llama-perplexity wrote nobody knows tokenizer and engine;
        its vocabulary's size and its tokens are compared all the same.

        Raises:
            NotComparable: another vocabulary, tokenizer, context length, text or
                engine build, or too few chunks.
        """
        hint = "measure the reference again on the same text"
        if self.n_vocab != n_vocab:
            msg = f"the reference's vocabulary has {self.n_vocab} tokens, not {n_vocab}"
            raise NotComparable(msg, hint=ONE_MODEL)
        if self.origin is not None and origin is not None:
            _require_one_maker(self.origin, origin)
        if self.layout.magic != chunks.magic:
            msg = "one of the two measured documents, the other one text"
            raise NotComparable(msg, hint=hint)
        if self.n_ctx != chunks.n_ctx:
            msg = f"the reference's chunks are {self.n_ctx} tokens, not {chunks.n_ctx}"
            raise NotComparable(msg, hint=hint)
        if self.n_chunks < chunks.n_chunks:
            msg = f"the reference has {self.n_chunks} chunks, not {chunks.n_chunks}"
            raise NotComparable(msg, hint=hint)
        for index in range(chunks.n_chunks):
            if not np.array_equal(
                self.tokens[self.layout.span(index)], chunks.own(index)
            ):
                msg = f"the reference was measured on other tokens (chunk {index})"
                raise NotComparable(msg, hint=hint)


def _require_one_maker(base: Origin, ours: Origin) -> None:
    if base.vocab_digest != ours.vocab_digest:
        msg = (
            f"the reference's tokenizer ({base.vocab_digest[:12]}) is not this "
            f"model's ({ours.vocab_digest[:12]})"
        )
        raise NotComparable(msg, hint=ONE_MODEL)
    if base.engine != ours.engine:
        msg = (
            f"the reference was computed by {base.engine}; this is {ours.engine}, "
            "which rounds otherwise"
        )
        raise NotComparable(msg, hint="measure the reference again, with this one")


def sidecar(path: Path) -> Path:
    """Return where the exact figures of a base file are."""
    return path.with_name(f"{path.name}.exact.npz")


def open_logits(path: Path) -> LogitsFile:
    """Read a base file's header and side-car; llama-perplexity's files too.

    Raises:
        ResultsInvalid: the file is not whole, or not such a file.
    """
    try:
        with path.open("rb") as stream:
            layout = read_layout(stream, path)
            tokens = np.frombuffer(stream.read(4 * layout.n_tokens), "<i4")
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror}"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN) from error
    exact, heads, origin = _read_sidecar(path, layout.n_rows)
    return LogitsFile(path, layout, tokens, exact, heads, origin)


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
def write_logits(
    path: Path, chunks: Chunks, n_vocab: int, origin: Origin | None = None
) -> Iterator[LogitsWriter]:
    """Write a base file and its side-car; both appear whole on exit, or not at all.

    ``llama-perplexity --kl-divergence`` reads the file where the chunks are
    windows of one text.

    Raises:
        DiskFull: there is not enough room; nothing is left behind.
        ResultsInvalid: fewer chunks were appended than there are.
    """
    layout = Layout.of(chunks, n_vocab)
    make_folders(path.parent)
    require_free(layout.size, path.parent)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    unfinished_sidecar = sidecar(unfinished)
    with ExitStack() as cleanup:
        cleanup.callback(unfinished.unlink, missing_ok=True)
        cleanup.callback(unfinished_sidecar.unlink, missing_ok=True)
        cleanup.enter_context(explained_write_errors(layout.size, path.parent))
        with unfinished.open("xb") as stream:
            stream.write(layout.head())
            for index in range(chunks.n_chunks):
                stream.write(np.ascontiguousarray(chunks.own(index), "<i4").data)
            writer = LogitsWriter(stream)
            yield writer
        if len(writer.exact) != chunks.n_chunks:
            msg = f"{len(writer.exact)} of {chunks.n_chunks} chunks were written"
            raise ResultsInvalid(msg, hint="append every chunk before leaving")
        np.savez(
            unfinished_sidecar,
            nll=np.concatenate([rows.nll for rows in writer.exact]),
            top=np.concatenate([rows.top for rows in writer.exact]),
            heads=np.concatenate(writer.heads),
            origin=np.array(origin or ("", "")),
        )
        # The side-car first: a base file that is there has its side-car.
        publish(unfinished_sidecar, sidecar(path))
        publish(unfinished, path)


def _read_sidecar(
    path: Path, n_rows: int
) -> tuple[ExactRows | None, NDArray[np.uint16] | None, Origin | None]:
    """Read what is beside a base file, if it is there."""
    beside = sidecar(path)
    if not beside.exists():
        return None, None, None
    try:
        with (
            beside.open("rb") as stream,
            np.load(stream, allow_pickle=False) as arrays,
        ):
            nll, top, heads = arrays["nll"], arrays["top"], arrays["heads"]
            vocab_digest, engine = (str(one) for one in arrays["origin"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{beside.name} cannot be read"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN) from error
    shape = (n_rows,)
    if nll.shape != shape or top.shape != shape or heads.shape != (n_rows, HEAD):
        msg = f"{beside.name} holds {nll.shape} figures, not {shape}"
        raise ResultsInvalid(msg, hint=MEASURE_AGAIN)
    origin = Origin(vocab_digest, engine) if engine else None
    return ExactRows(nll, top), heads, origin
