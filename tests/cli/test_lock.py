"""`localkit lock`, and that nothing runs what is not as it was pinned."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

import localkit
from localkit.cli.lock import engine
from localkit.errors import LockDrift, ModelNotFound
from localkit.evals.comparing.compare import compare
from localkit.store.lockfile import NAME, read_lock, write_lock
from tests.fixtures.gguf import write_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_tiny_llama(tmp_path / "other.gguf", seed=9)


def _digests(text: str) -> set[str]:
    """Return the digests in a text that may be wrapped."""
    return set(re.findall(r"sha256:[0-9a-f]{64}", text.replace("\n", "")))


def test_lock_pins_every_model_and_says_what_it_did(run: Run, project: Path) -> None:
    result = run("lock")
    assert result.exit_code == 0
    assert "tiny:f16" in result.stdout
    assert "pinned" in result.stdout
    assert f"written: {NAME}" in result.stdout
    assert [str(model.ref) for model in read_lock(project / NAME).model] == ["tiny:f16"]
    assert "as it was" in run("lock").stdout


def test_check_passes_what_is_as_pinned_and_changes_nothing(
    run: Run, project: Path
) -> None:
    run("lock")
    before = (project / NAME).stat().st_mtime_ns
    result = run("lock", "--check")
    assert result.exit_code == 0
    assert "as pinned" in result.stdout
    assert (project / NAME).stat().st_mtime_ns == before


def test_check_fails_on_drift_with_both_digests(
    run: Run, kit: Kit, other: Path
) -> None:
    pinned = kit.store.resolve("tiny:f16").digest
    run("lock")
    now = kit.store.add(other, "tiny:f16").model.digest
    result = run("lock", "--check")
    assert result.exit_code == 1
    assert "DRIFTED" in result.stdout
    assert _digests(result.stderr) == {pinned, now}
    assert run("lock", "tiny:f16").exit_code == 1
    assert "changed" in run("lock", "--update", "tiny:f16").stdout
    assert run("lock", "--check").exit_code == 0


def test_check_fails_on_another_engine_and_update_takes_it(
    run: Run, project: Path, kit: Kit
) -> None:
    run("lock")
    lock = read_lock(project / NAME)
    older = lock.engine.model_copy(update={"build": "llama-cpp-python 0.0.1"})
    write_lock(project / NAME, lock.model_copy(update={"engine": older}))
    result = run("lock", "--check")
    assert result.exit_code == 1
    assert "expected llama-cpp-python 0.0.1" in result.stderr
    assert engine().build in result.stderr
    assert "pins llama-cpp-python 0.0.1" in run("lock").stdout
    run("lock", "--update")
    assert run("lock", "--check").exit_code == 0


def test_check_takes_other_instruction_sets_with_a_word(
    run: Run, project: Path
) -> None:
    run("lock")
    lock = read_lock(project / NAME)
    elsewhere = lock.engine.model_copy(update={"features": "NEON"})
    write_lock(project / NAME, lock.model_copy(update={"engine": elsewhere}))
    result = run("lock", "--check")
    assert result.exit_code == 0
    assert "other instruction sets" in result.stdout


@pytest.mark.parametrize("words", [["tiny:f16"], ["--update"], ["--strict"]])
def test_check_is_given_alone(run: Run, words: list[str]) -> None:
    run("lock")
    result = run("lock", "--check", *words)
    assert result.exit_code == 1
    assert "give it alone" in result.stderr


def test_an_unknown_model_is_not_pinned(run: Run, project: Path) -> None:
    assert run("lock", "nobody:x").exit_code == 1
    assert not (project / NAME).exists()


def test_nothing_runs_a_pinned_model_that_changed(
    run: Run, kit: Kit, other: Path
) -> None:
    pinned = kit.store.resolve("tiny:f16")
    run("lock")
    now = kit.store.add(other, "tiny:f16").model
    result = run("run", "tiny", "hello")
    assert result.exit_code == 1
    assert _digests(result.stderr) == {pinned.digest, now.digest}
    assert "lock --update tiny:f16" in result.stderr
    for call in (
        lambda: localkit.load("tiny"),
        lambda: localkit.load("tiny:f16", draft="tiny:f16"),
        lambda: kit.load(now),
        lambda: kit.load_apart(now, localkit.LoadParams()),
        lambda: compare("tiny", kit=kit, effort="quick"),
    ):
        with pytest.raises(LockDrift) as caught:
            call()
        assert (caught.value.expected, caught.value.found) == (
            pinned.digest,
            now.digest,
        )


def test_a_resident_model_is_not_used_any_more_once_its_ref_drifted(
    run: Run, kit: Kit, other: Path
) -> None:
    kit.load("tiny")
    run("lock")
    kit.store.add(other, "tiny:f16")
    with pytest.raises(LockDrift):
        kit.load("tiny")


def test_a_pinned_model_runs_and_a_drifted_engine_is_in_the_result(
    run: Run, kit: Kit
) -> None:
    run("lock")
    result = kit.load("tiny").chat("hello")
    (note,) = (note for note in result.notes if NAME in note)
    assert "computed by fake" in note
    assert engine().build in note
    assert note in result.note
    assert "computed by fake" in run("run", "tiny", "hello").stderr


def test_the_pinned_tag_is_meant_where_none_is_named(
    run: Run, kit: Kit, other: Path
) -> None:
    run("lock")
    kit.store.add(other, "tiny:latest")
    assert str(kit.load("tiny").stored.ref) == "tiny:f16"
    assert "unloaded tiny:f16" in run("unload", "tiny").stdout


def test_a_pinned_model_that_is_not_here_says_how_to_pull_it(
    run: Run, kit: Kit
) -> None:
    digest = kit.store.resolve("tiny").digest
    run("lock")
    kit.store.remove("tiny:f16")
    with pytest.raises(ModelNotFound) as caught:
        kit.load("tiny")
    assert f"localkit pull tiny:f16@{digest}" in caught.value.hint


def test_strict_refuses_what_is_not_pinned(run: Run, kit: Kit, other: Path) -> None:
    run("lock", "--strict")
    kit.store.add(other, "new:x")
    result = run("run", "new:x", "hello")
    assert result.exit_code == 1
    assert "is strict" in result.stderr
    run("lock", "--no-strict")
    assert run("run", "new:x", "hello").exit_code == 0


def test_off_in_the_settings_holds_nothing(
    run: Run, kit: Kit, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("lock")
    kit.store.add(other, "tiny:f16")
    monkeypatch.setenv("LOCALKIT_LOCK", "off")
    from localkit.config import Settings
    from localkit.kit import Kit as AnotherKit

    another = AnotherKit(Settings(), runtime=kit.runtime)
    try:
        assert another.load("tiny").chat("hello").text
    finally:
        another.close()


def test_a_variant_under_the_same_ref_is_another_model(kit: Kit, other: Path) -> None:
    before = kit.load("tiny:f16")
    kit.store.add(other, "tiny:f16")
    after = kit.load("tiny:f16")
    assert after is not before
    assert after.stored.digest != before.stored.digest


@pytest.mark.parametrize(
    "words",
    [
        ("run", "tiny@{}", "hello"),
        ("show", "tiny@{}"),
        ("verify", "tiny:f16@{}"),
        ("lock", "tiny@{}"),
        ("compare", "tiny@{}", "--effort", "quick"),
        ("compare", "tiny:f16@{}", "--quants", "F16", "--effort", "quick"),
        ("quantize", "tiny@{}", "Q8_0"),
        ("cp", "tiny@{}", "copy:x"),
        ("export", "tiny@{}", "folder"),
        ("rm", "tiny@{}"),
    ],
    ids=lambda words: " ".join(words).replace("@{}", ""),
)
def test_every_command_takes_a_digest_and_refuses_another_with_both_shown(
    run: Run, kit: Kit, words: tuple[str, ...], project: Path
) -> None:
    right, wrong = kit.store.resolve("tiny").digest, "sha256:" + "0" * 64
    result = run(*(word.format(wrong) for word in words))
    assert result.exit_code == 1
    assert _digests(result.stderr) == {right, wrong}
    assert [str(line.ref) for line in kit.store.list()] == ["tiny:f16"]
    assert not (project / "folder").exists()
    if words[0] != "compare":  # which would measure for a minute
        result = run(*(word.format(right) for word in words))
        assert result.exit_code == 0, result.stderr


@pytest.mark.model
def test_locked_real_weights_answer_tampered_ones_and_a_moved_tag_are_refused(
    smollm2_gguf: Path, run: Run, tmp_path: Path
) -> None:
    """Show 3 of the store: locked, tampered with, refused with both digests."""
    from localkit.kit import Kit as RealKit
    from localkit.kit import set_default

    kit = RealKit()
    set_default(kit)
    try:
        with kit.store.staging() as staged:
            shutil.copyfile(smollm2_gguf, staged)  # a link would be the package's file
            stored = kit.store.adopt(staged, "smollm2:q4_1").model
        run("lock")
        answer = run("run", "smollm2", "Say hi.", "--max-tokens", "3", "-t", "0")
        assert answer.exit_code == 0, answer.stderr
        kit.unload()

        weights = stored.weights
        weights.chmod(0o644)
        with weights.open("r+b") as stream:
            stream.seek(50_000_000)
            (byte,) = stream.read(1)
            stream.seek(50_000_000)
            stream.write(bytes([byte ^ 0x10]))
        refused = run("run", "smollm2", "Say hi.")
        assert refused.exit_code == 1
        told = _digests(refused.stderr)
        assert stored.weights_digest in told
        assert len(told) == 2
        assert run("lock", "--check").exit_code == 1

        kit.store.add(smollm2_gguf, "smollm2:q4_1")
        assert run("lock", "--check").exit_code == 0
        moved = kit.store.add(write_tiny_llama(tmp_path / "t.gguf"), "smollm2:q4_1")
        refused = run("run", "smollm2", "Say hi.")
        assert refused.exit_code == 1
        assert _digests(refused.stderr) == {stored.digest, moved.model.digest}
    finally:
        set_default(None)
        kit.close()
