from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import Cancelled
from localkit.evals.comparing.family import find_family
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import QualitySpec
from localkit.evals.runs.database import Runs
from localkit.evals.text.divergence import summarize
from localkit.evals.text.quality import ScoredText, TextScoring
from localkit.events import CancelToken, Progress, no_progress
from localkit.runtime.protocol import LoadParams
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from localkit.kit import Kit

TEXT = "".join(chr(97 + (i * i) % 26) for i in range(4000))


def score(kit: Kit, *, n_chunks: int = 3, on_progress=no_progress, cancel=None):
    family = find_family(kit.store, "tiny")
    spec = QualitySpec("digest of TEXT", family.reference.weights_digest, 128)
    with closing(Runs(kit.settings.runs_db)) as runs:
        bench = Bench(kit, runs, on_progress, cancel or CancelToken())
        params = LoadParams(n_ctx=256)
        return TextScoring(
            bench, family, spec, TEXT, n_chunks=n_chunks, params=params
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


def test_E1_a_stopped_run_keeps_its_chunks_and_goes_on_from_there(tmp_path):
    kit, stop = tiny_kit(tmp_path), CancelToken()
    seen: list[Progress] = []

    def stop_at_five(progress: Progress) -> None:
        seen.append(progress)
        if progress.step == "perplexity and KL" and progress.done == 5:
            stop.cancel()

    with pytest.raises(Cancelled):
        score(kit, on_progress=stop_at_five, cancel=stop)
    resumed: list[Progress] = []
    whole = score(kit, on_progress=resumed.append)
    totals = [p for p in resumed if p.step == "perplexity and KL"]
    assert totals[-1].done == totals[-1].total == 12
    assert not any(p.step.startswith("logits") for p in resumed)
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
