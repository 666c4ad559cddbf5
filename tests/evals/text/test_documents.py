from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import DatasetInvalid, NotComparable, ResultsInvalid
from localkit.evals.comparing.family import find_family
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import QualitySpec
from localkit.evals.runs.database import Runs
from localkit.evals.text.divergence import reference_chunk, summarize
from localkit.evals.text.documents import (
    Documents,
    cut,
    cut_documents,
    text_digest,
)
from localkit.evals.text.logits_file import open_logits, write_logits
from localkit.evals.text.quality import TextScoring
from localkit.evals.text.windows import Windows, cut_windows
from localkit.events import CancelToken, no_progress
from localkit.runtime.fake import BOS, FakeSession
from localkit.runtime.protocol import LoadParams
from tests.evals.fakes import fake_session
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["Why is the sky blue?", "Ja?", "Write a haiku about rain. " * 20]


@pytest.mark.parametrize("length", [2, 31, 32, 33, 47, 48, 49, 64, 65, 200])
@pytest.mark.parametrize("adds_bos", [True, False])
def test_every_token_but_the_first_is_scored_once_with_half_a_window_before_it(
    length: int, adds_bos: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeSession, "adds_bos", adds_bos)
    text = "".join(chr(97 + index % 26) for index in range(length - adds_bos))
    documents = cut_documents(fake_session(), [text], n_ctx=32)
    tokens = documents.own(0).tolist()
    targets, seen = [], 0
    for stretch in documents.stretches(0):
        scored = len(stretch.targets)
        assert len(stretch.inputs) - stretch.first == scored
        assert len(stretch.inputs) < 32
        at = 1 + seen  # of the first target in the document
        context = stretch.first + 1
        assert context >= min(at, 16)
        before = tokens[at - context : at]
        if adds_bos:
            before[0] = BOS
        assert list(stretch.inputs[:context]) == before
        targets += stretch.targets.tolist()
        seen += scored
    assert targets == tokens[1:]
    assert documents.n_rows(0) == len(tokens) - 1 == seen
    assert documents.shown(0) == tokens


def test_a_text_is_cut_into_windows_and_several_are_documents() -> None:
    session = fake_session()
    assert isinstance(cut(session, "x" * 600, n_ctx=64), Windows)
    documents = cut(session, PROMPTS, n_ctx=64)
    assert isinstance(documents, Documents)
    assert documents.n_chunks == 3
    assert documents.n_bytes_scored == tuple(len(text) for text in PROMPTS)


def test_the_digest_knows_the_documents_and_not_how_many_are_used() -> None:
    session = fake_session()
    all_of_them = cut_documents(session, PROMPTS)
    assert cut_documents(session, PROMPTS, max_chunks=1).digest == all_of_them.digest
    assert cut_documents(session, PROMPTS[:2]).digest != all_of_them.digest
    moved = ["".join(PROMPTS[:2]), PROMPTS[2]]
    assert text_digest(moved) != text_digest(PROMPTS)
    assert text_digest("a") != text_digest(["a"])


def test_what_cannot_be_scored_is_refused_by_its_number() -> None:
    session = fake_session()
    with pytest.raises(DatasetInvalid, match="document 1 is 1 tokens"):
        cut_documents(session, ["fine", ""])
    with pytest.raises(DatasetInvalid, match="no document"):
        cut_documents(session, [])
    with pytest.raises(DatasetInvalid, match="n_ctx is 2"):
        cut_documents(session, ["fine"], n_ctx=2)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    session, path = fake_session(), tmp_path / "documents.logits"
    documents = cut_documents(session, PROMPTS, n_ctx=64)
    with write_logits(path, documents, 260) as writer:
        for index in range(3):
            writer.append(reference_chunk(session, documents, index))
    return path


def test_documents_of_any_length_are_written_and_read_back(base: Path) -> None:
    documents = cut_documents(fake_session(), PROMPTS, n_ctx=64)
    file = open_logits(base)
    file.require_match(documents, 260)
    for index in range(3):
        wanted = reference_chunk(fake_session(), documents, index)
        record, exact = file.chunk(index)
        assert np.array_equal(record, wanted.record)
        assert exact is not None
        assert np.array_equal(exact.nll, wanted.exact.nll)


def test_E2_other_documents_and_windows_are_refused(base: Path) -> None:
    session, file = fake_session(), open_logits(base)
    with pytest.raises(NotComparable, match="other tokens"):
        file.require_match(cut_documents(session, PROMPTS[1:], n_ctx=64), 260)
    with pytest.raises(NotComparable, match="documents, the other one text"):
        file.require_match(cut_windows(session, "x" * 600, n_ctx=64), 260)


@pytest.mark.parametrize("length", [0, 1, -5, 2**31 - 1])
def test_lengths_that_make_no_sense_are_refused(base: Path, length: int) -> None:
    content = bytearray(base.read_bytes())
    content[20:24] = int(length).to_bytes(4, "little", signed=True)
    base.write_bytes(content)
    with pytest.raises(ResultsInvalid):
        open_logits(base)


@pytest.mark.parametrize("mode", ["file", "stream"])
def test_prompts_are_scored_one_cluster_each(tmp_path: Path, mode: str) -> None:
    kit = tiny_kit(tmp_path, {"f16": "F16", "q2_k": "Q2_K"})
    family = find_family(kit.store, "tiny")
    spec = QualitySpec(text_digest(PROMPTS), family.reference.weights_digest, 128)
    with closing(Runs(kit.settings.runs_db)) as runs:
        scored = TextScoring(
            Bench(kit, runs, no_progress, CancelToken()),
            family,
            spec,
            PROMPTS,
            n_chunks=10,
            params=LoadParams(n_ctx=256),
            mode=mode,
        ).run()
    summary = summarize(scored.chunks["Q2_K"])
    assert summary.n_chunks == summary.kld.n == 3
    assert summary.n_tokens == sum(map(len, PROMPTS))
    assert summary.kld.low > 0
    assert "".join(scored.pieces[0]) == PROMPTS[0]
    assert scored.mode == mode
