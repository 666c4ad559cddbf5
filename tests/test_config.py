from __future__ import annotations

from pathlib import Path

import pytest

from localkit.config import settings
from localkit.errors import UsageError


def test_ours_wins_over_ollamas_name_for_the_same_knob(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", "/theirs")
    assert settings().models_dir == Path("/theirs")
    monkeypatch.setenv("LOCALKIT_MODELS", "/ours")
    settings.cache_clear()
    assert settings().models_dir == Path("/ours")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LOCALKIT_N_THREADS", "many", "LOCALKIT_N_THREADS is 'many'"),
        ("LOCALKIT_N_THREADS", "0", "LOCALKIT_N_THREADS is '0'"),
        ("LOCALKIT_EFFORT", "huge", "LOCALKIT_EFFORT is 'huge'"),
        ("LOCALKIT_CONTEXT_LENGTH", "-5", "CONTEXT_LENGTH is '-5'"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        settings()
    assert said in str(caught.value)
