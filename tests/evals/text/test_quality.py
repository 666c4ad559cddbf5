from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled, UsageError
from localkit.evals.comparing.family import find_family
from localkit.evals.running.bench import Bench
from localkit.evals.running.side_by_side import fits_side_by_side
from localkit.evals.running.spec import QualitySpec
from localkit.evals.runs.database import Runs
from localkit.evals.text.divergence import summarize
from localkit.evals.text.quality import ScoredText, TextScoring
from localkit.evals.text.stored import put_chunk
from localkit.events import CancelToken, Progress, no_progress
from localkit.runtime import hardware
from localkit.runtime.fake import FakeSession
from localkit.runtime.protocol import LoadParams
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from localkit.kit import Kit

TEXT = "".join(chr(97 + (i * i) % 26) for i in range(4000))


def score(
    kit: Kit, *, n_chunks: int = 3, on_progress=no_progress, cancel=None, mode="auto"
):
    family = find_family(kit.store, "tiny")
    spec = QualitySpec("digest of TEXT", family.reference.weights_digest, 128)
    with closing(Runs(kit.settings.runs_db)) as runs:
        bench = Bench(kit, runs, on_progress, cancel or CancelToken())
        params = LoadParams(n_ctx=256)
        return TextScoring(
            bench, family, spec, TEXT, n_chunks=n_chunks, params=params, mode=mode
        ).run()


def klds(scored: ScoredText) -> dict[str, float]:
    return {label: summarize(c).kld.value for label, c in scored.chunks.items()}


def test_more_noise_is_more_divergence_and_the_reference_is_at_its_floor(tmp_path):
    found = klds(score(tiny_kit(tmp_path)))
    assert abs(found["F16"]) < 1e-4 < found["Q8_0"] < found["Q4_0"] < found["Q2_K"]


def test_what_is_measured_is_not_measured_again_nor_loaded(tmp_path):
    kit = tiny_kit(tmp_path)
    first = score(kit)
    n_loads = len(kit.runtime.loaded)
    second = score(kit)
    assert len(kit.runtime.loaded) == n_loads
    assert klds(first) == klds(second)
    assert first.pieces == second.pieces


def test_a_longer_run_builds_on_a_shorter_one(tmp_path):
    kit = tiny_kit(tmp_path)
    short = score(kit, n_chunks=2)
    longer = score(kit, n_chunks=4)
    assert len(longer.chunks["Q4_0"]) == 4
    for one, other in zip(short.chunks["Q4_0"], longer.chunks["Q4_0"], strict=False):
        assert np.array_equal(one.kld, other.kld)


def test_E1_a_stopped_run_keeps_its_chunks_and_goes_on_from_there(
    tmp_path, monkeypatch
):
    kit, stop = tiny_kit(tmp_path), CancelToken()
    kept: list[int] = []

    def stop_at_five(cell, index, chunk):
        put_chunk(cell, index, chunk)
        kept.append(index)
        if len(kept) == 5:
            stop.cancel()

    monkeypatch.setattr("localkit.evals.text.by_file.put_chunk", stop_at_five)
    with pytest.raises(Cancelled):
        score(kit, cancel=stop)
    monkeypatch.undo()
    resumed: list[Progress] = []
    whole = score(kit, on_progress=resumed.append)
    totals = [p for p in resumed if p.step == "perplexity and KL"]
    assert totals[-1].done == totals[-1].total == 12
    assert not any(p.step.startswith("logits") for p in resumed)
    assert len(kept) == 5
    assert klds(whole) == klds(score(tiny_kit(tmp_path / "fresh")))


def test_every_session_is_closed_whatever_happens(tmp_path):
    kit = tiny_kit(tmp_path)
    score(kit)
    assert kit.runtime.loaded
    assert all(session.closed for session in kit.runtime.loaded)


def test_a_damaged_logits_file_is_computed_again(tmp_path):
    kit = tiny_kit(tmp_path)
    score(kit, n_chunks=2)
    (logits,) = (kit.settings.cache_dir / "logits").glob("*.logits")
    logits.write_bytes(logits.read_bytes()[:-100])
    assert len(score(kit, n_chunks=3).chunks["Q2_K"]) == 3


def test_pieces_are_the_text_that_was_scored(tmp_path):
    scored = score(tiny_kit(tmp_path), n_chunks=2)
    # One BOS, then a token a byte: chunk 0 scores bytes 64 to 126 of the text.
    assert "".join(scored.pieces[0]) == TEXT[64:127]


def n_logits(kit: Kit) -> int:
    """Chunks that were decoded since the kit was made."""
    return sum(session.n_chunks for session in kit.runtime.loaded)


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    plain = FakeSession.logits

    def counting(self, *args, **options):
        self.n_chunks += 1
        return plain(self, *args, **options)

    monkeypatch.setattr(FakeSession, "n_chunks", 0, raising=False)
    monkeypatch.setattr(FakeSession, "logits", counting)


def test_the_reference_is_decoded_once_whichever_way(tmp_path):
    for mode in ("file", "stream"):
        kit = tiny_kit(tmp_path / mode)
        score(kit, mode=mode)
        assert n_logits(kit) == 4 * 3


def test_both_resident_gives_what_the_file_gives_but_for_its_rounding(tmp_path):
    by_file = score(tiny_kit(tmp_path / "file"), mode="file")
    streamed_kit = tiny_kit(tmp_path / "stream")
    by_stream = score(streamed_kit, mode="stream")
    assert (by_file.mode, by_stream.mode) == ("file", "stream")
    assert by_file.pieces == by_stream.pieces
    assert not (streamed_kit.settings.cache_dir / "logits").exists()
    file, stream = klds(by_file), klds(by_stream)
    assert stream["F16"] == 0 != file["F16"]
    for label in ("Q8_0", "Q4_0", "Q2_K"):
        assert stream[label] != file[label]
        assert stream[label] == pytest.approx(file[label], abs=1e-4)


def test_the_two_ways_keep_their_figures_apart_and_auto_stays_with_one(tmp_path):
    kit = tiny_kit(tmp_path)
    first = score(kit, mode="stream")
    n_decoded = n_logits(kit)
    assert klds(score(kit)) == klds(first)
    assert n_logits(kit) == n_decoded
    assert klds(score(kit, mode="file")) != klds(first)


def test_a_disk_without_room_for_the_file_streams(tmp_path, monkeypatch):
    kit = tiny_kit(tmp_path)
    monkeypatch.setattr("localkit.evals.text.quality.free_bytes", lambda _: 1000)
    assert score(kit).mode == "stream"


def test_what_does_not_fit_together_streams_in_pairs_or_is_refused(
    tmp_path, monkeypatch
):
    most = 2

    def fits(candidates, params, *, spare):
        assert spare == 4 * 128 * candidates[0].info.n_vocab
        return len(candidates) <= most

    monkeypatch.setattr("localkit.evals.text.by_stream.fits_side_by_side", fits)
    kit = tiny_kit(tmp_path / "pairs")
    in_pairs = klds(score(kit, mode="stream"))
    assert n_logits(kit) == 2 * 3 * 3
    assert in_pairs == klds(score(tiny_kit(tmp_path / "together"), mode="stream"))
    most = 1
    with pytest.raises(UsageError, match=r"F16 and .* do not fit in memory side"):
        score(tiny_kit(tmp_path / "refused"), mode="stream")


def test_E1_a_stopped_stream_goes_on_from_there(tmp_path, monkeypatch):
    kit, stop = tiny_kit(tmp_path), CancelToken()
    kept: list[int] = []

    def stop_at_five(cell, index, chunk):
        put_chunk(cell, index, chunk)
        kept.append(index)
        if len(kept) == 5:
            stop.cancel()

    monkeypatch.setattr("localkit.evals.text.by_stream.put_chunk", stop_at_five)
    with pytest.raises(Cancelled):
        score(kit, cancel=stop, mode="stream")
    before = n_logits(kit)
    whole = score(kit, mode="stream")
    # One chunk of all four is there, and of the second the reference's.
    assert len(kept) == 12
    assert n_logits(kit) - before == 8
    assert klds(whole) == klds(score(tiny_kit(tmp_path / "fresh"), mode="stream"))


def test_candidates_fit_by_their_estimates_and_what_is_spare(tmp_path, monkeypatch):
    family = find_family(tiny_kit(tmp_path).store, "tiny")
    params = LoadParams(n_ctx=128)
    monkeypatch.setattr(hardware, "devices", list)
    monkeypatch.setattr(hardware, "available_memory", lambda: 1 << 30)
    assert fits_side_by_side(family.candidates, params)
    assert not fits_side_by_side(family.candidates, params, spare=1 << 29)
