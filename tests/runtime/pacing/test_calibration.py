"""Thread counts are measured once, remembered, and checked by one measurement."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from localkit.config import settings
from localkit.gguf import read_info
from localkit.gguf.info import TypeShare
from localkit.runtime.engine.context import Context
from localkit.runtime.pacing import calibration, calibrations
from localkit.runtime.pacing.calibration import Calibration, calibrate, thread_counts
from localkit.runtime.protocol import LoadParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Measured = Callable[..., tuple[Calibration, list[int]]]

IDLE = {2: 0.010, 1: 0.018}
STARVED = {2: 0.100, 1: 0.018}


@pytest.fixture
def context(tiny_gguf: Path) -> Iterator[Context]:
    from localkit.runtime import library

    engine = library.library()
    model = engine.llama_model_load_from_file(
        str(tiny_gguf).encode(), engine.llama_model_default_params()
    )
    made = Context(engine, model, LoadParams(n_seq_max=1), n_ctx=64, n_threads=1)
    yield made
    made.close()
    engine.llama_model_free(model)


@pytest.fixture
def measured(
    monkeypatch: pytest.MonkeyPatch, context: Context, tiny_gguf: Path
) -> Measured:
    """Return a function that calibrates on a machine of given speeds."""

    def on(
        machine: dict[int, float], *, weights_size: int = 1 << 20
    ) -> tuple[Calibration, list[int]]:
        asked: list[int] = []

        def seconds(_: Context, n_threads: int) -> float:
            asked.append(n_threads)
            return machine[n_threads]

        monkeypatch.setattr(calibration, "_decode_seconds", seconds)
        share = TypeShare("f16", 1, weights_size // 2, weights_size)
        info = replace(read_info(tiny_gguf), type_mix=(share,))
        return calibrate(context, max(machine), info=info), asked

    return on


def test_the_real_engine_is_measured_and_left_empty(
    context: Context, tiny_gguf: Path
) -> None:
    found = calibrate(context, 2, info=read_info(tiny_gguf))
    assert found.n_threads in (1, 2)
    assert set(found.seconds_per_token) == {1, 2}
    assert all(0 < seconds < 5 for seconds in found.seconds_per_token.values())
    context.decode([0], start=0, outputs=[0])  # position 0 is free


def test_every_count_is_measured_once(measured: Measured) -> None:
    found, asked = measured(IDLE)
    assert (found.n_threads, found.seconds_per_token, asked) == (2, IDLE, [2, 1])


def test_the_next_load_measures_one_count(measured: Measured) -> None:
    measured(IDLE)
    found, asked = measured({2: 0.011, 1: 9.9})
    assert asked == [2]
    assert found.n_threads == 2
    assert found.seconds_per_token == {2: 0.011, 1: 0.018}


def test_a_starved_machine_is_measured_again_and_not_remembered(
    measured: Measured,
) -> None:
    measured(IDLE)
    found, asked = measured(STARVED)
    assert asked == [2, 2, 1]
    assert found.n_threads == 1
    _, asked = measured(IDLE)
    assert asked == [2]


def test_a_machine_that_got_faster_is_measured_again(measured: Measured) -> None:
    measured(IDLE)
    found, asked = measured({2: 0.005, 1: 0.009})
    assert asked == [2, 2, 1]
    assert found.seconds_per_token[1] == 0.009


def test_other_counts_are_measured_when_fewer_cores_are_free(
    measured: Measured,
) -> None:
    measured({8: 0.01, 4: 0.02, 1: 0.07})
    found, asked = measured({6: 0.012, 3: 0.03, 1: 0.07})
    assert asked == [6, 3, 1]
    assert found.n_threads == 6


def test_one_thread_is_not_tried_on_a_model_that_would_take_it_seconds(
    measured: Measured,
) -> None:
    found, asked = measured({16: 0.3, 8: 0.5, 1: 4.0}, weights_size=16 << 30)
    assert asked == [16, 8]
    assert set(found.seconds_per_token) == {16, 8}


def test_one_thread_is_tried_however_long_two_starved_ones_took(
    measured: Measured,
) -> None:
    found, asked = measured({2: 2.9, 1: 0.02})
    assert asked == [2, 1]
    assert found.n_threads == 1


def test_the_counts_are_all_half_and_one() -> None:
    assert [thread_counts(n) for n in (1, 2, 3, 8)] == [
        (1,),
        (2, 1),
        (3, 1),
        (8, 4, 1),
    ]


def test_another_quant_is_another_entry() -> None:
    calibrations.remember("a", IDLE)
    assert calibrations.recall("a") == IDLE
    assert calibrations.recall("b") == {}


def test_the_file_stays_small() -> None:
    for index in range(70):
        calibrations.remember(f"model {index}", IDLE)
    kept = json.loads((settings().cache_dir / "calibration.json").read_bytes())
    assert len(kept) == 64
    assert calibrations.recall("model 69") == IDLE
    assert calibrations.recall("model 0") == {}


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{", b'{"a": {"2": -1}}', b'{"a": {"2": NaN}}', b" " * 300_000],
)
def test_a_damaged_file_counts_as_empty_and_is_replaced(damage: bytes) -> None:
    settings().cache_dir.mkdir(parents=True)
    (settings().cache_dir / "calibration.json").write_bytes(damage)
    assert calibrations.recall("a") == {}
    calibrations.remember("a", IDLE)
    assert calibrations.recall("a") == IDLE


def test_S11_a_cache_folder_that_cannot_be_written_fails_nothing() -> None:
    settings().cache_dir.parent.mkdir(parents=True, exist_ok=True)
    settings().cache_dir.write_text("a file where the folder should be")
    calibrations.remember("a", IDLE)
    assert calibrations.recall("a") == {}
    if os.name == "posix":
        settings().cache_dir.unlink()
        settings().cache_dir.symlink_to("/proc/no-such-folder")
        calibrations.remember("a", IDLE)
        assert calibrations.recall("a") == {}
