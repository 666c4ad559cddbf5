from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fixtures.kits import MODEL
from tests.fixtures.registry import MODEL_TYPE, HostileRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def registry() -> Iterator[HostileRegistry]:
    with HostileRegistry() as registry:
        yield registry


def test_a_model_is_pushed_and_pulled_back(
    run: Run, kit: Kit, registry: HostileRegistry
) -> None:
    there = f"{registry.host}/me/tiny:f16"
    digest = kit.store.resolve(MODEL).digest
    pushed = run("push", MODEL, there)
    assert "sent" in pushed.stdout
    assert f"pin it as {there}@{digest}" in pushed.stdout
    pulled = run("pull", f"{there}@{digest}")
    assert "was there already" in pulled.stdout
    assert kit.store.resolve(there).digest == digest


def test_a_second_push_says_that_nothing_had_to_travel(
    run: Run, kit: Kit, registry: HostileRegistry
) -> None:
    run("push", MODEL, f"{registry.host}/me/tiny:f16")
    again = run("push", MODEL, f"{registry.host}/me/tiny:f16")
    assert "every byte was there already" in again.stdout


def test_a_pull_says_what_was_downloaded(
    run: Run, kit: Kit, registry: HostileRegistry, tiny_gguf: Path
) -> None:
    kit.store.remove(MODEL)
    registry.add_model("library/x", "f16", [(MODEL_TYPE, tiny_gguf.read_bytes())])
    result = run("pull", f"{registry.host}/library/x:f16", "mine:f16")
    assert "mine:f16: F16" in result.stdout
    assert "downloaded" in result.stdout


def test_a_model_that_is_not_there_is_one_line(
    run: Run, kit: Kit, registry: HostileRegistry
) -> None:
    result = run("pull", f"{registry.host}/library/none:latest")
    assert result.exit_code != 0
    (line,) = result.stderr.strip().splitlines()
    assert "has no 'library/none' with tag latest" in line


def test_the_help_says_where_models_come_from(run: Run) -> None:
    text = run("pull", "--help").stdout
    for source in ("hf.co/", "pkg:", "HOST/NAMESPACE/MODEL:TAG", "docker login"):
        assert source in text
