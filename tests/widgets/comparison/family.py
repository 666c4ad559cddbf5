"""A family of tiny models whose answers are scripted, some of them hostile."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localkit.evals.memory import kinds
from localkit.evals.tasks.catalog import Text
from localkit.runtime.memory.probe import MemoryProbe
from localkit.runtime.protocol import MemoryUse
from tests.evals.tiny_family import tiny_kit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localkit.gguf.info import ModelInfo
    from localkit.kit import Kit
    from localkit.runtime.fake import FakeRuntime
    from localkit.runtime.protocol import LoadParams

MIB = 2**20
N = 60
HOSTILE = "<img src=x onerror='window.__xss=1'><script>window.__xss=2</script>"
TEXT = Text("squares", "".join(chr(97 + (i * i) % 26) for i in range(6000)), "sha256:0")
QUANTS = {"f16": "F16", "q8_0": "Q8_0", "q4_0": "Q4_0", "q2_k": "Q2_K"}
PROMPT = "What comes after {}? " + HOSTILE


def rows() -> list[dict[str, str]]:
    """Return what is asked: numbers, and what follows them."""
    return [{"prompt": PROMPT.format(n), "expected": f"{n + 1}"} for n in range(N)]


def answers(quant: str) -> list[str]:
    """Return what a quant answers: the smaller, the more often it is wrong."""
    wrong = {"F16": (5,), "Q8_0": (5,), "Q4_0": (7, 11), "Q2_K": (3, 7, 11, 13, 17)}
    return [
        f"It is nine hundred. {HOSTILE}" if n in wrong[quant] else f"It is {n + 1}."
        for n in range(N)
    ]


@contextmanager
def scripted(folder: Path) -> Iterator[Kit]:
    """Give a kit whose models answer so; memory is made up, no child is started."""

    def probe(info: ModelInfo, params: LoadParams, **_: object) -> MemoryProbe:
        use = MemoryUse(info.weights_size, 1024 * (params.n_ctx or 0), MIB, {})
        return MemoryProbe(use, info.weights_size, 2 * MIB, None)

    before, kinds.probe = kinds.probe, probe  # type: ignore[attr-defined]
    kit = tiny_kit(folder, QUANTS)
    runtime: FakeRuntime = kit.runtime  # type: ignore[assignment]

    def script(info: ModelInfo) -> None:
        runtime.replies = answers(info.quant)

    runtime.before_load = script
    try:
        yield kit
    finally:
        kinds.probe = before  # type: ignore[attr-defined]
        kit.close()


def write_rows(path: Path, given: Sequence[dict[str, str]]) -> Path:
    """Write rows as JSON Lines."""
    lines = "\n".join(json.dumps(row) for row in given)
    path.write_text(f"{lines}\n", encoding="utf-8")
    return path
