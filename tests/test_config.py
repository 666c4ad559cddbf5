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
        ("LOCALKIT_MEMORY", "much", "LOCALKIT_MEMORY is 'much': 'much' is no amount"),
        ("OLLAMA_KEEP_ALIVE", "5d", "KEEP_ALIVE is '5d': '5d' is no duration"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        settings()
    assert said in str(caught.value)


def test_memory_and_durations_are_read_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "-1")
    monkeypatch.setenv("OLLAMA_MAX_LOADED_MODELS", "2")
    monkeypatch.setenv("OLLAMA_MAX_QUEUE", "7")
    monkeypatch.setenv("LOCALKIT_MEMORY", "1.5GiB")
    assert settings().keep_alive == float("inf")
    assert (settings().max_loaded_models, settings().max_queue) == (2, 7)
    assert settings().memory == 3 << 29
    monkeypatch.setenv("LOCALKIT_KEEP_ALIVE", "1h30m")
    settings.cache_clear()
    assert settings().keep_alive == 5400


def test_without_a_word_models_stay_five_minutes_and_memory_is_what_there_is() -> None:
    assert settings().keep_alive == 300
    assert settings().memory is None
    assert settings().max_queue == 512
