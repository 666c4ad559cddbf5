"""Perplexity and KL divergence of every candidate, one model resident at a time.

The reference's log-probabilities go to a file once (25 MB a chunk at 49k
vocabulary); every candidate is compared with it chunk by chunk, the reference
too: what that gives is the floor, the error of storing 16 bits a probability.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from localkit.errors import ResultsInvalid
from localkit.evals.running.bench import Steps
from localkit.evals.running.spec import digest_of
from localkit.evals.text.divergence import (
    ChunkDivergence,
    compare_chunk,
    reference_chunk,
)
from localkit.evals.text.logits_file import LogitsFile, open_logits, write_logits
from localkit.evals.text.windows import Windows, cut_windows

if TYPE_CHECKING:
    from pathlib import Path

    from localkit.evals.comparing.family import Family
    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.running.spec import QualitySpec
    from localkit.evals.runs.database import Cell
    from localkit.runtime.protocol import LoadParams, Session

PIECES = "pieces {}"
"""Sample of a chunk's scored tokens as text, in the reference's cell."""


class ScoredText(NamedTuple):
    """What was scored, and how every candidate did."""

    chunks: dict[str, list[ChunkDivergence]]
    """By candidate label."""
    pieces: list[list[str]]
    """Text of each scored token, a list a chunk."""
    measured: str
    """When the newest cell was opened, ISO 8601 in UTC."""


class TextScoring:
    """Scores one text; what is stored is not computed again."""

    def __init__(
        self,
        bench: Bench,
        family: Family,
        spec: QualitySpec,
        text: str,
        *,
        n_chunks: int,
        params: LoadParams,
    ) -> None:
        self._bench, self._family, self._spec = bench, family, spec
        self._text, self._params = text, params
        self._most_chunks = n_chunks

    def run(self) -> ScoredText:
        """Measure what is missing and return all.

        Raises:
            DatasetInvalid: the text is too short.
            DiskFull: there is no room for the reference's log-probabilities.
            Cancelled: stopping was asked for; finished chunks are stored.
        """
        n_chunks, pieces = self._reference_text()
        candidates = self._family.candidates
        steps = Steps(
            self._bench, "perplexity and KL", n_chunks * len(candidates), "chunks"
        )
        found, created = {}, []
        for candidate in candidates:
            with self._bench.station(candidate, self._params) as station:
                cell = station.cell(self._spec, numeric=True)
                done = cell.items()
                missing = [i for i in range(n_chunks) if str(i) not in done]
                steps.advance(n_chunks - len(missing))
                if missing:
                    self._compare(station, cell, missing, n_chunks, steps)
                created.append(cell.created())
            found[candidate.label] = [_restored(cell, i) for i in range(n_chunks)]
        return ScoredText(found, pieces, max(created))

    def _reference_text(self) -> tuple[int, list[list[str]]]:
        """Return how many chunks there are, and the text of their tokens."""
        with self._bench.station(self._family.reference, self._params) as station:
            cell = station.cell(self._spec, numeric=True)
            if "text" not in cell.items():
                windows = self._windows(station.session, None)
                cell.put_record("text", {"n_chunks": windows.n_chunks})
            n_chunks = min(int(cell.record("text")["n_chunks"]), self._most_chunks)
            known = cell.items()
            missing = [i for i in range(n_chunks) if PIECES.format(i) not in known]
            if missing:
                windows = self._windows(station.session, n_chunks)
                for index in missing:
                    pieces = _pieces(station.session, windows, index)
                    cell.put_record(PIECES.format(index), {"pieces": pieces})
            stored = [cell.record(PIECES.format(i))["pieces"] for i in range(n_chunks)]
        return n_chunks, stored

    def _compare(
        self,
        station: Station,
        cell: Cell,
        missing: list[int],
        n_chunks: int,
        steps: Steps,
    ) -> None:
        base = self._base(n_chunks, station)
        session = station.session
        windows = self._windows(session, n_chunks)
        base.require_match(windows, session.n_vocab)
        for index in missing:
            record, exact = base.chunk(index)
            chunk = compare_chunk(
                session, windows, index, record, exact, cancel=self._bench.cancel
            )
            cell.put_arrays(str(index), _arrays(chunk))
            steps.advance()

    def _base(self, n_chunks: int, station: Station) -> LogitsFile:
        """Return the reference's log-probabilities, computed when they are missing."""
        reference = self._family.reference
        if station.candidate is reference:
            return self._base_from(station, n_chunks)
        with self._bench.station(reference, self._params) as other:
            return self._base_from(other, n_chunks)

    def _base_from(self, station: Station, n_chunks: int) -> LogitsFile:
        path = self._base_path(station)
        try:
            base = open_logits(path)
            if base.n_chunks >= n_chunks and base.exact is not None:
                return base
        except ResultsInvalid:
            path.unlink(missing_ok=True)
        session = station.session
        windows = self._windows(session, n_chunks)
        steps = Steps(
            self._bench, f"logits of {station.candidate.label}", n_chunks, "chunks"
        )
        with write_logits(path, windows, session.n_vocab) as writer:
            for index in range(n_chunks):
                writer.append(
                    reference_chunk(session, windows, index, cancel=self._bench.cancel)
                )
                steps.advance()
        return open_logits(path)

    def _base_path(self, station: Station) -> Path:
        name = digest_of(
            [
                self._spec.reference_digest,
                self._spec.text_digest,
                self._spec.n_ctx,
                station.fingerprint.numeric(),
            ]
        )
        return self._bench.kit.settings.cache_dir / "logits" / f"{name}.logits"

    def _windows(self, session: Session, n_chunks: int | None) -> Windows:
        return cut_windows(
            session, self._text, n_ctx=self._spec.n_ctx, max_chunks=n_chunks
        )


def _pieces(session: Session, windows: Windows, index: int) -> list[str]:
    """Return the text of each scored token, the space before a word included."""
    row = windows.tokens[index, windows.first :].tolist()
    pieces = []
    for before, token in itertools.pairwise(row):
        # Behind another token: a tokenizer may drop the space a text begins with.
        head = session.detokenize([before])
        pieces.append(session.detokenize([before, token])[len(head) :])
    return pieces


def _arrays(chunk: ChunkDivergence) -> dict[str, Any]:
    return {name: np.asarray(value) for name, value in chunk._asdict().items()}


def _restored(cell: Cell, index: int) -> ChunkDivergence:
    arrays: dict[str, Any] = dict(cell.arrays(str(index)))
    try:
        return ChunkDivergence(**arrays | {"n_bytes": int(arrays["n_bytes"])})
    except (KeyError, TypeError) as error:
        msg = f"chunk {index} of cell {cell.key[:12]} holds {', '.join(sorted(arrays))}"
        raise ResultsInvalid(
            msg, hint="move the results away, measure again"
        ) from error
