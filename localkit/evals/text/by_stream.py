"""Reference and candidates resident side by side: no file, nothing rounded.

The reference's logits of a chunk are computed, held (50 MB at 49k vocabulary) and
compared with at once. Where all candidates fit beside it, one pass serves all;
else each candidate has a pass of its own, and the reference is computed again.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from localkit.errors import NotComparable, UsageError
from localkit.evals.running.side_by_side import fits_side_by_side
from localkit.evals.running.watch import TEXT
from localkit.evals.text.documents import cut
from localkit.evals.text.exact import compare_exactly, exact_chunk, floor_of
from localkit.evals.text.stored import put_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localkit.evals.comparing.family import Candidate, Family
    from localkit.evals.running.bench import Bench, Station, Steps
    from localkit.evals.running.spec import QualitySpec
    from localkit.evals.runs.database import Cell
    from localkit.runtime.protocol import LoadParams


class StreamScoring:
    """Compares candidates with a reference that is loaded beside them."""

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
            UsageError: the reference and one candidate are too large together.
            NotComparable: the models do not read the same tokens.
            Cancelled: stopping was asked for; finished chunks are stored.
        """
        cells: dict[str, Cell] = {}
        for group in self._groups():
            labels = [one.label for one in group]
            self._bench.watch.begins(TEXT, labels, self._n_chunks)
            with ExitStack() as stack:
                stations = [
                    stack.enter_context(self._bench.station(one, self._params))
                    for one in group
                ]
                for station in stations:
                    cell = station.cell(self._spec, numeric=True)
                    if station.candidate.label not in cells:
                        steps.advance(self._n_chunks - len(self._missing(cell)))
                    cells[station.candidate.label] = cell
                self._compare(stations, cells, steps)
            for one in group:
                self._on_cell(one, cells[one.label])
        return [cells[one.label] for one in self._family.candidates]

    def _groups(self) -> list[list[Candidate]]:
        """Return who is loaded together, the reference first in each."""
        reference, *others = self._family.candidates
        spare = held_bytes(reference, self._spec.n_ctx)
        if fits_side_by_side([reference, *others], self._params, spare=spare):
            return [[reference, *others]]
        for one in others:
            if not fits_side_by_side([reference, one], self._params, spare=spare):
                msg = (
                    f"{reference.label} and {one.label} do not fit in memory side by "
                    f"side, with {spare / 2**20:.0f} MiB of logits"
                )
                raise UsageError(msg, hint="take mode='file': one model at a time")
        return [[reference, one] for one in others]

    def _missing(self, cell: Cell) -> list[int]:
        done = cell.items()
        return [index for index in range(self._n_chunks) if str(index) not in done]

    def _compare(
        self, stations: Sequence[Station], cells: dict[str, Cell], steps: Steps
    ) -> None:
        waiting = {
            one.candidate.label: set(self._missing(cells[one.candidate.label]))
            for one in stations
        }
        wanted = sorted(set().union(*waiting.values()))
        if not wanted:
            return
        first = stations[0]
        chunks = cut(
            first.session, self._text, n_ctx=self._spec.n_ctx, max_chunks=self._n_chunks
        )
        for station in stations[1:]:
            if waiting[station.candidate.label]:
                require_same(first, station)
        for index in wanted:
            base = exact_chunk(first.session, chunks, index, cancel=self._bench.cancel)
            for station in stations:
                label = station.candidate.label
                if index not in waiting[label]:
                    continue
                found = (
                    floor_of(base, chunks.n_bytes_scored[index])
                    if station is first
                    else compare_exactly(
                        station.session,
                        chunks,
                        index,
                        base,
                        cancel=self._bench.cancel,
                    )
                )
                put_chunk(cells[label], index, found)
                steps.advance()


def held_bytes(reference: Candidate, n_ctx: int) -> int:
    """Return the bytes of the logits that are held while a chunk is compared."""
    return 4 * n_ctx * reference.info.n_vocab


def require_same(reference: Station, station: Station) -> None:
    """Refuse a candidate that reads other tokens than the reference.

    Raises:
        NotComparable: the vocabularies differ in size or content.
    """
    ours, theirs = station.candidate, reference.candidate
    if ours.info.vocab_digest != theirs.info.vocab_digest:
        msg = f"{ours.label} has another tokenizer than {theirs.label}"
        raise NotComparable(msg, hint="compare quants of one model")
    n_vocab, n_base = station.session.n_vocab, reference.session.n_vocab
    if n_vocab != n_base:
        msg = f"the reference's vocabulary has {n_base} tokens, not {n_vocab}"
        raise NotComparable(msg, hint="compare quants of one model")
