"""What localkit writes into an output's metadata, as it is read back.

A notebook may come from anybody: what is missing or of another type is said, and
fields that are not compared are ignored.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_SEEN = ConfigDict(frozen=True, extra="ignore")
_Text = str | None
_Number = float | None


class ReceiptRecord(BaseModel):
    """What an answer was made with: `localkit.chat.receipt.Receipt`."""

    model_config = _SEEN

    ref: str
    manifest_digest: str = ""
    weights_digest: str
    quant: str
    template_digest: _Text = None
    template_kind: _Text = None
    params: dict[str, Any]
    adapters: tuple[str, ...] = ()
    exact: bool = False
    runtime: dict[str, str | int | float | bool | None]
    localkit: str = ""

    @property
    def is_greedy(self) -> bool:
        """Whether the most likely token was taken every time."""
        return self.params.get("temperature") == 0


class Probe(BaseModel):
    """How fast the machine was while an output came about; see `calibration`."""

    model_config = _SEEN

    matmul_per_s: float = Field(gt=0)
    """Products of two matrices of one fixed size a second."""
    copy_per_s: float = Field(gt=0)
    """Bytes copied a second."""


class AnswerRecord(BaseModel):
    """Figures and receipt of one answer: `Result.as_dict`."""

    model_config = _SEEN

    finish_reason: str = ""
    note: str = ""
    n_prompt: int = 0
    n_generated: int = 0
    n_reused: int = 0
    prefill_per_s: _Number = None
    decode_per_s: _Number = None
    receipt: ReceiptRecord
    text: _Text = None
    """Where one output shows several answers, each brings its own."""


class EstimateRecord(BaseModel):
    """A figure with its interval."""

    model_config = _SEEN

    value: _Number = None
    low: _Number = None
    high: _Number = None
    se: _Number = None

    @property
    def error(self) -> float:
        """The standard error; of a share of 0 or 1 what its interval makes of it."""
        if self.low is None or self.high is None:
            return self.se or 0.0
        return max(self.se or 0.0, (self.high - self.low) / (2 * 1.96))


class TaskRecord(BaseModel):
    """A candidate's score on one task."""

    model_config = _SEEN

    name: str
    metric: str = "score"
    score: EstimateRecord
    n_items: int = 0
    n_lost: int = 0
    n_gained: int = 0


class QualityRecord(BaseModel):
    """A candidate's loss on text."""

    model_config = _SEEN

    kld: EstimateRecord
    perplexity: EstimateRecord


class SpreadRecord(BaseModel):
    """Repeated timings."""

    model_config = _SEEN

    median: _Number = None


class SpeedRecord(BaseModel):
    """A candidate's speeds, tokens per second."""

    model_config = _SEEN

    prefill: SpreadRecord
    decode: SpreadRecord


class MemoryRecord(BaseModel):
    """A candidate's bytes."""

    model_config = _SEEN

    weights: int = 0
    kv: int = 0
    compute: int = 0
    peak: int | None = None

    @property
    def total(self) -> int:
        """Weights, KV cache and compute buffers."""
        return self.weights + self.kv + self.compute


class RowRecord(BaseModel):
    """A candidate of a comparison."""

    model_config = _SEEN

    label: str
    ref: str = ""
    weights_digest: str = ""
    quant: str = ""
    quality: QualityRecord | None = None
    tasks: tuple[TaskRecord, ...] = ()
    speed: SpeedRecord | None = None
    memory: MemoryRecord | None = None


class FlipRecord(BaseModel):
    """An item that a candidate answers otherwise than the reference."""

    model_config = _SEEN

    label: str
    task: str
    item: str
    reference_value: _Number = None
    candidate_value: _Number = None


class Named(BaseModel):
    """A text or task that was measured on, and how much of it."""

    model_config = _SEEN

    name: str
    digest: str = ""
    n_items: int = 0
    n_tokens: int = 0


class SetupRecord(BaseModel):
    """What a comparison held fixed."""

    model_config = _SEEN

    model: str = ""
    effort: str = ""
    corpora: tuple[Named, ...] = ()
    tasks: tuple[Named, ...] = ()
    fingerprint: dict[str, str | int | float | bool | None] = {}


class ComparisonRecord(BaseModel):
    """A comparison: `Comparison.as_dict`."""

    model_config = _SEEN

    setup: SetupRecord
    rows: tuple[RowRecord, ...]
    flips: tuple[FlipRecord, ...] = ()


class PartRecord(BaseModel):
    """One model's scores in one task of an evaluation."""

    model_config = _SEEN

    label: str
    model: str = ""
    weights_digest: str = ""
    task: Named
    metric: str = "score"
    score: EstimateRecord
    environment: dict[str, str | int | float | bool | None] = {}
    samples: dict[str, _Number] | None = None
    """Score of each sample by its id; None where there are too many to keep."""


class EvaluationRecord(BaseModel):
    """An evaluation: `Evaluation.as_dict`."""

    model_config = _SEEN

    parts: tuple[PartRecord, ...]
