from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.runtime import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from click.testing import Result


def test_the_log_shows_the_engines_last_lines(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_ring", [(1, "one\n"), (1, "two\n"), (4, "three\n")])
    assert run("log", "-n", "2").stdout.split() == ["two", "three"]
    monkeypatch.setattr(logs, "_ring", [])
    assert "logged nothing" in run("log").stdout
