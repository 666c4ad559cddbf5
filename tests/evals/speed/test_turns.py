from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from localkit.evals.comparing.family import find_family
from localkit.evals.comparing.variant import Variant
from localkit.evals.running.bench import Bench
from localkit.evals.running.spec import SpeedSpec
from localkit.evals.runs.database import Runs
from localkit.evals.speed import conditions
from localkit.evals.speed.every import measure_every_speed
from localkit.evals.speed.spec import DepthSpec
from localkit.evals.speed.turns import Lane, take_turns
from localkit.events import CancelToken, no_progress
from localkit.runtime.protocol import LoadParams
from tests.evals.tiny_family import tiny_kit


@pytest.fixture
def bench(tmp_path):
    kit = tiny_kit(tmp_path, {"f16": "F16", "q8_0": "Q8_0"})
    with closing(Runs(kit.settings.runs_db)) as runs:
        yield Bench(kit, runs, no_progress, CancelToken())
    kit.close()


def candidates(bench):
    return find_family(bench.kit.store, "tiny").candidates


def lane(candidate, params, depth, seen):
    name = f"{candidate.label} d{depth}"

    def time(session):
        seen.append(name)
        return {"decode_per_s": 1.0}

    return Lane(candidate, params, DepthSpec(depth, reps=2), lambda _: None, time)


def test_lanes_of_one_load_share_it_and_groups_follow_each_other(bench):
    seen, params = [], LoadParams(n_ctx=64, n_threads=1)
    a, b = candidates(bench)
    groups = [[lane(c, params, depth, seen) for c in (a, b)] for depth in (0, 32)]
    before = len(bench.kit.runtime.loaded)
    turns = take_turns(bench, groups, reps=2)
    assert seen == [f"{label} d{d}" for d in (0, 32) for label in ("F16", "Q8_0") * 2]
    assert len(bench.kit.runtime.loaded) == before + 2
    assert [len(laps) for laps in turns] == [2, 2]
    assert all(laps.interleaved for group in turns for laps in group)


def test_E4_every_sample_says_what_else_the_machine_did(bench, monkeypatch):
    monkeypatch.setattr(conditions, "_LEAST_S", 0.0)
    a = candidates(bench)[0]
    params = LoadParams(n_ctx=64, n_threads=1)
    ((laps,),) = take_turns(bench, [[lane(a, params, 0, [])]], reps=2)
    for sample in laps.samples:
        assert sample["busy_cores"] >= 0
        assert sample["alone"] is False


def test_a_variant_is_loaded_as_it_says_in_every_timing(bench):
    a = candidates(bench)[0]
    small = replace(a, label="small KV", variant=Variant(kv_type="q8_0"))
    spec = SpeedSpec(n_prompt=16, n_gen=4, reps=1)
    timed = measure_every_speed(bench, [a, small], spec, depths=[32], clients=[2])
    assert set(timed.speeds) == {"F16", "small KV"}
    kinds = [session.fingerprint.kv_type for session in bench.kit.runtime.loaded]
    assert kinds.count("f16") >= 3
    assert kinds.count("q8_0") >= 3


def test_a_row_gets_its_depths_clients_and_energy(bench):
    spec = SpeedSpec(n_prompt=16, n_gen=4, reps=2)
    timed = measure_every_speed(
        bench, candidates(bench), spec, depths=[1024], clients=[1, 2], energy=True
    )
    speed = timed.speeds["Q8_0"]
    (deep,) = speed.at_depth
    assert deep.depth == 1024
    assert deep.prefill.median == pytest.approx(1000 / 1.1)
    assert deep.decode.median == pytest.approx(1000 / 11)
    assert [seen.n_clients for seen in speed.under_load] == [1, 2]
    assert speed.under_load[1].itl_p50_s == pytest.approx(0.001)
    assert speed.energy is not None
    assert speed.load_s is None
