from __future__ import annotations

import math

import pytest

from localkit.evals.speed.clients import ask_at_once, latency
from localkit.evals.speed.spec import ClientsSpec
from localkit.gguf import read_info
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams
from tests.evals.fakes import fake_session

SPEC = ClientsSpec(n_clients=4, n_prompt=24, n_gen=6, n_rounds=2)


@pytest.fixture
def session(tiny_gguf):
    params = LoadParams(n_ctx=256, n_seq_max=4, n_threads=1)
    session = LlamaRuntime().load(read_info(tiny_gguf), params)
    yield session
    session.close()


def test_every_answer_is_as_long_as_asked_and_nothing_is_reused(session):
    before = session.activity.n_computed
    sample = ask_at_once(session, SPEC)
    assert len(sample["ttft_s"]) == 8
    assert len(sample["itl_s"]) == 8 * 5
    assert sample["decode_per_s"] > 0
    # All but BOS, which every text begins with, is computed for every answer.
    assert session.activity.n_computed - before >= 8 * (23 + 5)


def test_clients_wait_for_each_other(session):
    ask_at_once(session, SPEC)
    alone = ask_at_once(session, ClientsSpec(1, n_prompt=24, n_gen=6))
    assert min(alone["ttft_s"]) > 0
    assert all(wait >= 0 for wait in alone["itl_s"])


def test_no_token_that_ends_an_answer_is_ever_sampled():
    session = fake_session()
    ask_at_once(session, SPEC)
    forbidden = dict(session.asked[0].logit_bias)
    assert set(forbidden) == set(session.control_tokens.values())
    assert set(forbidden.values()) == {-math.inf}


def test_percentiles_are_over_all_answers_of_all_repetitions():
    samples = [
        {"ttft_s": [0.1] * 50, "itl_s": [0.01] * 99, "decode_per_s": 90.0},
        {"ttft_s": [0.3] * 50, "itl_s": [0.5], "decode_per_s": 110.0},
    ]
    seen = latency(2, samples)
    assert seen.n_answers == 100
    assert seen.ttft.p50 == pytest.approx(0.2)
    assert seen.ttft.p99 == pytest.approx(0.3)
    assert seen.itl.p95 == pytest.approx(0.01)
    assert seen.decode.median == 100
    row = seen.speed()
    assert (row.n_clients, row.ttft_p95_s, row.decode_per_s) == (2, 0.3, 100)
