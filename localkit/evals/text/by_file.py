"""One model resident at a time: the reference's log-probabilities lie in a file.

They are computed once (25 MB a chunk at 49k vocabulary), and every candidate is
compared with them chunk by chunk. The reference too: what that gives is the
floor, the error of storing 16 bits a probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.errors import ResultsInvalid
from localkit.evals.running.bench import Steps
from localkit.evals.running.spec import digest_of
from localkit.evals.running.watch import TEXT
from localkit.evals.text.divergence import compare_chunk, recorded_chunk
from localkit.evals.text.documents import cut
from localkit.evals.text.logits_file import (
    LogitsFile,
    Origin,
    open_logits,
    write_logits,
)
from localkit.evals.text.stored import put_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.running.spec import QualitySpec
    from localkit.evals.runs.database import Cell
    from localkit.runtime.protocol import LoadParams


class FileScoring:
    """Compares candidates with a base file, which it writes when it is missing."""

    def __init__(
        self,
        bench: Bench,
        family: Family,
        spec: QualitySpec,
        text: str | Sequence[str],
        *,
        n_chunks: int,
        params: LoadParams,
        on_cell: Callable[[Candidate, Cell], None] = lambda *_: None,
    ) -> None:
        self._on_cell = on_cell
        self._bench, self._family, self._spec = bench, family, spec
        self._text, self._params, self._n_chunks = text, params, n_chunks

    def measure(self, steps: Steps) -> list[Cell]:
        """Measure what is missing; return the cell of each candidate.

        Raises:
            DiskFull: there is no room for the reference's log-probabilities.
            NotComparable: the base file measured something else.
            Cancelled: stopping was asked for; finished chunks are stored.
        """
        cells = []
        for candidate in self._family.candidates:
            with self._bench.station(candidate, self._params) as station:
                cell = station.cell(self._spec, numeric=True)
                missing = self._missing(cell)
                self._bench.watch.begins(TEXT, [candidate.label], self._n_chunks)
                steps.advance(self._n_chunks - len(missing))
                if missing:
                    self._compare(station, cell, missing, steps)
                cells.append(cell)
                self._on_cell(candidate, cell)
        return cells

    def _missing(self, cell: Cell) -> list[int]:
        done = cell.items()
        return [index for index in range(self._n_chunks) if str(index) not in done]

    def _compare(
        self, station: Station, cell: Cell, missing: list[int], steps: Steps
    ) -> None:
        base = self._base(station, cell)
        # The reference is compared with its record while that is written.
        left = self._missing(cell)
        steps.advance(len(missing) - len(left))
        if not left:
            return
        session = station.session
        chunks = cut(
            session, self._text, n_ctx=self._spec.n_ctx, max_chunks=self._n_chunks
        )
        base.require_match(chunks, session.n_vocab, Origin.of(session))
        for index in left:
            record, exact = base.chunk(index)
            found = compare_chunk(
                session, chunks, index, record, exact, cancel=self._bench.cancel
            )
            put_chunk(cell, index, found)
            steps.advance()

    def _base(self, station: Station, cell: Cell) -> LogitsFile:
        """Return the reference's log-probabilities, computed when they are missing."""
        reference = self._family.reference
        if station.candidate is reference:
            return self._found(station) or self._written(station, cell)
        with self._bench.station(reference, self._params) as other:
            found = self._found(other)
            if found is None:
                station.close()  # one at a time: the two may not fit
                own = other.cell(self._spec, numeric=True)
                found = self._written(other, own)
        return found

    def _found(self, station: Station) -> LogitsFile | None:
        path = self._path(station)
        try:
            base = open_logits(path)
        except ResultsInvalid:
            path.unlink(missing_ok=True)
            return None
        whole = base.n_chunks >= self._n_chunks and base.exact is not None
        return base if whole else None

    def _written(self, station: Station, cell: Cell) -> LogitsFile:
        """Compute the base file, and the reference's own figures with it."""
        path, session = self._path(station), station.session
        chunks = cut(
            session, self._text, n_ctx=self._spec.n_ctx, max_chunks=self._n_chunks
        )
        steps = Steps(
            self._bench,
            f"logits of {station.candidate.label}",
            chunks.n_chunks,
            "chunks",
        )
        origin = Origin.of(session)
        with write_logits(path, chunks, session.n_vocab, origin) as writer:
            missing = self._missing(cell)
            for index in range(chunks.n_chunks):
                found = recorded_chunk(
                    session, chunks, index, cancel=self._bench.cancel
                )
                writer.append(found.rows)
                if index in missing:
                    put_chunk(cell, index, found.floor)
                steps.advance()
        return open_logits(path)

    def _path(self, station: Station) -> Path:
        name = digest_of(
            [
                self._spec.reference_digest,
                self._spec.text_digest,
                self._spec.n_ctx,
                station.fingerprint.numeric(),
            ]
        )
        return self._bench.kit.settings.cache_dir / "logits" / f"{name}.logits"
