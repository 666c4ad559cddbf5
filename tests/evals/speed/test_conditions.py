from __future__ import annotations

from types import SimpleNamespace

import pytest

from localkit.evals.speed import conditions
from localkit.evals.speed.conditions import Conditions, clock_mhz, noise, spread

STEADY = {"decode": spread([50, 50.5, 51])}


def test_E4_a_clock_that_fell_is_said():
    samples = [{"clock_mhz": 3400.0}, {"clock_mhz": 2600.0}]
    assert noise(samples, STEADY) == "the processor's clock was 2.6 to 3.4 GHz"
    assert noise([{"clock_mhz": 3400.0}, {"clock_mhz": 3300.0}], STEADY) == ""


def test_E4_one_repetition_is_never_called_quiet():
    assert noise([{}], {"decode": spread([50])}) == "one repetition tells no spread"


def test_samples_without_conditions_are_judged_by_their_spread():
    assert noise([{}, {}], {"load": spread([1.0, 2.0])}) == "load spread 33 %"


@pytest.mark.parametrize("error", [NotImplementedError, OSError, RuntimeError])
def test_a_platform_that_keeps_its_clock_secret_is_no_error(monkeypatch, error):
    def secret(**_):
        raise error("no such file")

    monkeypatch.setattr(conditions.psutil, "cpu_freq", secret, raising=False)
    assert clock_mhz() is None
    assert "clock_mhz" not in Conditions().taken()


def test_the_clock_is_that_of_the_fastest_core(monkeypatch):
    cores = [SimpleNamespace(current=800.0), SimpleNamespace(current=4100.0)]
    monkeypatch.setattr(conditions.psutil, "cpu_freq", lambda **_: cores, raising=False)
    assert clock_mhz() == 4100.0
    monkeypatch.setattr(conditions.psutil, "cpu_freq", lambda **_: [], raising=False)
    assert clock_mhz() is None
