from __future__ import annotations

import gc
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from localkit.kit import Kit, set_default

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kit(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    """Return the process's kit, with the real engine and `tiny:f16`."""
    if find_spec("inspect_ai") is None:
        pytest.skip("inspect_ai is not installed (pip install 'localkit[inspect]')")
    for name in ("LOG_DIR", "TRACE_FILE", "CACHE_DIR"):
        monkeypatch.setenv(f"INSPECT_{name}", str(tmp_path / name))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    kit = Kit()
    kit.store.add(tiny_gguf, "tiny:f16")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()
    gc.collect()  # what inspect left unclosed warns here, not in a later test
