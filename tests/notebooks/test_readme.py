"""The README's Python runs as it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from localkit.kit import Kit, set_default
from tests.structure.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.model

_BLOCK = re.compile(
    r"<!-- executed by tests/notebooks/test_readme.py -->\n```python\n(.*?)```", re.S
)


@pytest.fixture
def kit(
    smollm2_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kit]:
    monkeypatch.chdir(tmp_path)
    kit = Kit()
    kit.store.add(smollm2_gguf, "smollm2-135m-instruct")
    set_default(kit)
    yield kit
    set_default(None)
    kit.close()


def test_the_python_of_the_readme_runs(kit: Kit, capsys: pytest.CaptureFixture[str]):
    (block,) = _BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().out
    assert [model.stored.ref.model for model in kit.resident()] == [
        "smollm2-135m-instruct"
    ]
