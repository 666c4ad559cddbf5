"""What a figure measures, as values: the specs that name a cell of results.

A spec holds what makes two figures the same measurement. How *much* of it was
measured (chunks, items) is its extent: it is not part of the name, so a
thorough run builds on what a quick one has measured.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from localkit.evals.speed.spec import SpeedSpecs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.config import Effort


@dataclass(frozen=True, slots=True)
class QualitySpec:
    """Perplexity and KL divergence on one text, against one reference."""

    kind: ClassVar[str] = "quality"
    revision: ClassVar[int] = 1
    """Counts changes of the definition; results of another revision are not read."""
    text_digest: str
    reference_digest: str
    """Weights of the reference."""
    n_ctx: int = 512
    """Tokens of one chunk; the second half is scored."""
    mode: str = "file"
    """Against the reference's 16-bit record (``file``) or itself (``stream``)."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Answers to the samples of one task, and how they were asked for."""

    kind: ClassVar[str] = "task"
    revision: ClassVar[int] = 3
    task_digest: str
    """Over samples, form and scorers: `Task.digest`."""
    template: str = ""
    """sha256 of the chat template that was rendered; empty where none was."""
    prompt: str | None = None
    """Prompt form in place of the task's."""
    system: str | None = None
    """Instructions in place of the task's."""
    params: str | None = None
    """Sampling params in place of the task's, as canonical JSON."""


@dataclass(frozen=True, slots=True)
class ImportSpec:
    """Answers that another tool wrote to a file."""

    kind: ClassVar[str] = "imported"
    revision: ClassVar[int] = 1
    tool: str
    """``lm-eval`` or ``inspect``."""
    file_digest: str
    task: str
    """Name of the task in the file."""


@dataclass(frozen=True, slots=True)
class SpeedSpec:
    """Prefill and decode speed by the llama-bench protocol."""

    kind: ClassVar[str] = "speed"
    revision: ClassVar[int] = 1
    n_prompt: int
    """Tokens of one prefill (``pp``)."""
    n_gen: int
    """Tokens of one decode (``tg``)."""
    depth: int = 0
    """Tokens in the KV cache before the decode starts."""
    reps: int = 5
    """Timed repetitions; they belong to the name because they run interleaved."""
    peers: str = ""
    """Digest of all candidates timed in turn: load of the machine hits all alike."""


@dataclass(frozen=True, slots=True)
class MemorySpec:
    """Memory of one loaded model, by kind, in a process of its own."""

    kind: ClassVar[str] = "memory"
    revision: ClassVar[int] = 3
    n_ctx: int
    kv_type: str = "f16"
    flash_attn: bool | None = None
    n_gpu_layers: int | None = None
    """None: as many as fit."""


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """How a model was asked to be loaded; its one sample says what came of it."""

    kind: ClassVar[str] = "load"
    revision: ClassVar[int] = 1
    n_ctx: int | None
    n_batch: int
    n_ubatch: int
    n_seq_max: int
    n_threads: int | None
    n_gpu_layers: int | None
    kv_type: str
    flash_attn: bool | None


Spec = (
    QualitySpec | TaskSpec | ImportSpec | SpeedSpec | MemorySpec | LoadSpec | SpeedSpecs
)


def spec_fields(spec: Spec) -> dict[str, str | int | None]:
    """Return kind, revision and fields, as they are stored beside results."""
    return {"kind": spec.kind, "revision": spec.revision, **asdict(spec)}


def cell_key(
    weights_digest: str, spec: Spec, fingerprint: Mapping[str, str | int]
) -> str:
    """Return the sha256 that names the results of one model under one spec.

    ``fingerprint`` holds what may change the figure: `Fingerprint.numeric` for
    quality and tasks, all of it for speed and memory.
    """
    return digest_of([weights_digest, spec_fields(spec), dict(fingerprint)])


def digest_of(value: object) -> str:
    """Return the sha256 of ``value`` as canonical JSON, 64 lower hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a comparison measures."""

    n_chunks: int
    """Most chunks of the text."""
    n_items: int | None
    """Most items of the task; None: all."""
    n_prompt: int
    n_gen: int
    reps: int


EXTENTS: dict[Effort, Extent] = {
    "quick": Extent(n_chunks=4, n_items=20, n_prompt=128, n_gen=32, reps=3),
    "standard": Extent(n_chunks=16, n_items=60, n_prompt=512, n_gen=128, reps=5),
    "thorough": Extent(n_chunks=64, n_items=None, n_prompt=512, n_gen=128, reps=10),
}
"""What each effort means; 512/128 tokens and 5 repetitions are llama-bench's."""
