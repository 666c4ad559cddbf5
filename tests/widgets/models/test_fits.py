from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from localkit.config import settings
from localkit.gguf import read_info
from localkit.gguf.estimate import estimate_memory
from localkit.widgets.models.fits import Budget, Fit, budget, context_lengths, fits
from localkit.widgets.models.words import millions, verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("n_ctx_train", "lengths"),
    [
        (512, [512]),
        (2048, [2048]),
        (4096, [2048, 4096]),
        (40960, [2048, 4096, 8192, 16384, 32768, 40960]),
        (0, [2048, 4096, 8192, 16384, 32768]),
    ],
)
def test_bars_end_at_the_training_context(n_ctx_train: int, lengths: list[int]) -> None:
    assert context_lengths(n_ctx_train) == lengths


def test_a_million_tokens_are_eight_bars_the_last_of_them_the_whole() -> None:
    lengths = context_lengths(1 << 20)
    assert len(lengths) == 8
    assert lengths[-1] == 1 << 20


def test_a_bar_is_the_estimate_that_a_load_goes_by(tiny_gguf: Path) -> None:
    info = dataclasses.replace(read_info(tiny_gguf), n_ctx_train=8192)
    found = fits(info)
    assert [one.n_ctx for one in found] == [2048, 4096, 8192]
    assert all(one.total > 0 for one in found)
    assert found[-1].kv == estimate_memory(info, n_ctx=8192).kv
    assert [one.weights for one in found] == [info.weights_size] * 3


def test_the_budget_of_the_settings_bounds_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert budget().available > 1 << 20
    limited = settings().model_copy(update={"memory": 1 << 20})
    monkeypatch.setattr("localkit.widgets.models.fits.settings", lambda: limited)
    assert budget() == Budget(1 << 20, on_gpu=False)


def test_a_loaded_model_fits_where_it_lies() -> None:
    fit = Fit(2048, 600, 300, 100)
    assert verdict(fit, Budget(1000, on_gpu=False), 0) == "fits"
    assert verdict(fit, Budget(999, on_gpu=False), 0) == "does not fit"
    assert verdict(fit, Budget(500, on_gpu=False), 500) == "fits"
    assert verdict(fit, Budget(999, on_gpu=True), 0) == "not whole on the GPU"


@pytest.mark.parametrize(
    ("n", "text"),
    [(134_515_008, "135 M"), (7_615_616_512, "7.62 B"), (120_000, "120,000")],
)
def test_parameters_are_told_as_people_say_them(n: int, text: str) -> None:
    assert millions(n) == text
