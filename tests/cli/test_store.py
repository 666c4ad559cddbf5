"""`du` and `prune` as someone reads them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from localkit.kit import Kit

    Run = Callable[..., Result]


@pytest.fixture
def orphan(kit: Kit) -> int:
    """Put 2 MiB that no model names into the store; return the bytes."""
    data = b"x" * (2 << 20)
    name = f"sha256-{hashlib.sha256(data).hexdigest()}"
    (kit.store.layout.blobs / name).write_bytes(data)
    return len(data)


def _row(result: Result, beginning: str) -> list[str]:
    (line,) = (
        line for line in result.stdout.splitlines() if line.startswith(beginning)
    )
    return line.removeprefix(beginning).split()


def test_du_proves_that_a_copy_shares_its_bytes(run: Run, kit: Kit) -> None:
    alone = _row(run("du"), "tiny:f16")
    kit.store.copy("tiny:f16", "twin:f16")
    result = run("du")
    assert _row(result, "tiny:f16") == _row(result, "twin:f16")
    size, unit, shared, shared_unit, unshared = _row(result, "tiny:f16")[:5]
    assert [size, unit] == alone[:2]
    assert [shared, shared_unit, unshared] == [size, unit, "0"]
    assert _row(result, "shared, counted once")[:2] == [size, unit]
    assert _row(result, "all")[:2] == [size, unit]


def test_du_names_bytes_that_no_model_names(run: Run, orphan: int) -> None:
    assert orphan == 2 << 20
    assert _row(run("du"), "named by no model") == ["2.0", "MiB"]


def test_prune_says_what_it_freed_and_what_it_left(run: Run, orphan: int) -> None:
    assert orphan == 2 << 20
    result = run("prune")
    assert result.exit_code == 0
    assert "0 B freed" in result.stdout
    assert "2.0 MiB named by no model, but younger than 1h" in result.stdout
    assert "2.0 MiB would be freed" in run("prune", "--grace", "0", "--dry-run").stdout
    assert "2.0 MiB freed" in run("prune", "--grace", "0").stdout
    assert _row(run("du"), "named by no model") == ["0", "B"]


def test_prune_says_what_a_damaged_model_keeps(run: Run, kit: Kit) -> None:
    stored = kit.store.resolve("tiny:f16")
    for path in (kit.store.root / "manifests").rglob("f16"):
        path.write_bytes(b"{")
    shown = run("prune", "--grace", "0").stdout
    assert "0 B freed" in shown
    assert "a damaged model may need it" in shown
    assert stored.weights.exists()


def test_prune_refuses_a_grace_that_is_no_time(run: Run) -> None:
    result = run("prune", "--grace", "soon")
    assert result.exit_code == 1
    assert "is no duration" in result.stderr


def test_du_of_an_empty_store_adds_up_to_nothing(run: Run, kit: Kit) -> None:
    kit.store.remove("tiny:f16")
    assert _row(run("du"), "all") == ["0", "B"]
