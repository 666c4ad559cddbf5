"""Perplexity and KL divergence of every candidate; what is stored is kept.

Two ways give the figures (`by_file`, `by_stream`); `design/014-two-ways-to-score.md`
says which is taken when, and what each costs.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from localkit.evals.running.bench import Steps
from localkit.evals.running.side_by_side import fits_side_by_side
from localkit.evals.running.spec import cell_key
from localkit.evals.running.watch import UNWATCHED
from localkit.evals.text.by_file import FileScoring
from localkit.evals.text.by_stream import StreamScoring, held_bytes
from localkit.evals.text.documents import cut
from localkit.evals.text.logits_layout import Layout
from localkit.evals.text.stored import stored_chunk
from localkit.io.disk import free_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.running.bench import Bench, Station
    from localkit.evals.running.spec import QualitySpec
    from localkit.evals.runs.database import Cell
    from localkit.evals.text.chunks import Chunks
    from localkit.evals.text.divergence import ChunkDivergence
    from localkit.runtime.protocol import LoadParams, Session

Mode = Literal["file", "stream"]
"""``file``: against the reference's 16-bit record on disk, as llama-perplexity does,
one model resident at a time. ``stream``: against the reference itself, resident
beside the candidate; nothing is rounded."""
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
    mode: Mode = "file"
    """``file``: the floor is the error of 16-bit records, about 5e-7 nats;
    ``stream``: the floor is 0."""


class TextScoring:
    """Scores one text, or several documents; what is stored is not computed again."""

    def __init__(
        self,
        bench: Bench,
        family: Family,
        spec: QualitySpec,
        text: str | Sequence[str],
        *,
        n_chunks: int,
        params: LoadParams,
        mode: Mode | Literal["auto"] = "auto",
        name: str = "",
    ) -> None:
        """Keep what is asked for.

        Args:
            bench: Runtime, results, progress.
            family: The reference and what is compared with it.
            spec: Names the cells; its `mode` is filled in here.
            text: One text, cut into windows; or documents, a chunk each.
            n_chunks: Most chunks to score.
            params: How models are loaded.
            mode: Which way to measure; ``auto`` stays with the one that figures
                of the reference are stored of, else takes ``file``, and
                ``stream`` only where the disk would not hold the file.
            name: What a `Watch` is told of it.
        """
        self._bench, self._family, self._spec = bench, family, spec
        self._text, self._params, self._asked = text, params, mode
        self._most_chunks = n_chunks
        self._name = name

    def run(self) -> ScoredText:
        """Measure what is missing and return all.

        Raises:
            DatasetInvalid: the text is too short.
            NotComparable: reference and candidate do not measure the same.
            DiskFull: there is no room for the reference's log-probabilities.
            UsageError: ``stream``, and the two models are too large together.
            Cancelled: stopping was asked for; finished chunks are stored.
        """
        with self._bench.station(self._family.reference, self._params) as station:
            mode = self._mode(station)
            spec = replace(self._spec, mode=mode)
            n_chunks, pieces = self._reference_text(station, spec)
        candidates = self._family.candidates
        way = FileScoring if mode == "file" else StreamScoring
        steps = Steps(
            self._bench, "perplexity and KL", n_chunks * len(candidates), "chunks"
        )
        cells = way(
            self._bench,
            self._family,
            spec,
            self._text,
            n_chunks=n_chunks,
            params=self._params,
            on_cell=lambda one, cell: self._tell(one, cell, n_chunks),
        ).measure(steps)
        found = {
            candidate.label: [stored_chunk(cell, index) for index in range(n_chunks)]
            for candidate, cell in zip(candidates, cells, strict=True)
        }
        return ScoredText(found, pieces, max(cell.created() for cell in cells), mode)

    def _tell(self, candidate: Candidate, cell: Cell, n_chunks: int) -> None:
        watch = self._bench.watch
        if watch is not UNWATCHED:
            chunks = [stored_chunk(cell, index) for index in range(n_chunks)]
            watch.text(self._name, candidate.label, chunks)

    def _mode(self, station: Station) -> Mode:
        """Return the way to measure; the same one for a run that is resumed."""
        if self._asked != "auto":
            return self._asked
        stored: dict[Mode, int] = {}
        for mode in ("file", "stream"):
            spec = replace(self._spec, mode=mode)
            key = cell_key(
                station.candidate.weights_digest, spec, station.fingerprint.numeric()
            )
            # By key: a cell that is only looked for must not be made.
            cell = self._bench.runs.cell_by_key(key)
            stored[mode] = sum(item.isdigit() for item in cell.items())
        if any(stored.values()):
            return max(stored, key=stored.__getitem__)
        reference = self._family.reference
        rows = Layout(
            b"_logits_",
            self._spec.n_ctx,
            reference.info.n_vocab,
            (self._spec.n_ctx,) * self._most_chunks,
        )
        if rows.size <= free_bytes(self._bench.kit.settings.cache_dir):
            return "file"
        spare = held_bytes(reference, self._spec.n_ctx)
        fits = all(
            fits_side_by_side([reference, one], self._params, spare=spare)
            for one in self._family.candidates[1:]
        )
        return "stream" if fits else "file"

    def _reference_text(
        self, station: Station, spec: QualitySpec
    ) -> tuple[int, list[list[str]]]:
        """Return how many chunks there are, and the text of their tokens."""
        cell = station.cell(spec, numeric=True)
        if "text" not in cell.items():
            chunks = self._cut(station.session, None)
            cell.put_record("text", {"n_chunks": chunks.n_chunks})
        n_chunks = min(int(cell.record("text")["n_chunks"]), self._most_chunks)
        known = cell.items()
        missing = [i for i in range(n_chunks) if PIECES.format(i) not in known]
        if missing:
            chunks = self._cut(station.session, n_chunks)
            for index in missing:
                pieces = pieces_of(station.session, chunks.shown(index))
                cell.put_record(PIECES.format(index), {"pieces": pieces})
        stored = [cell.record(PIECES.format(i))["pieces"] for i in range(n_chunks)]
        return n_chunks, stored

    def _cut(self, session: Session, n_chunks: int | None) -> Chunks:
        return cut(session, self._text, n_ctx=self._spec.n_ctx, max_chunks=n_chunks)


def pieces_of(session: Session, shown: Sequence[int]) -> list[str]:
    """Return the text of each token but the first, the space before a word included."""
    pieces = []
    for before, token in itertools.pairwise(shown):
        # Behind another token: a tokenizer may drop the space a text begins with.
        head = session.detokenize([before])
        pieces.append(session.detokenize([before, token])[len(head) :])
    return pieces
