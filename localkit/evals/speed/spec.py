"""What the timings beside plain prefill and decode measure, as values.

``peers`` is the digest of all candidates timed in turn: load of the machine hits
all alike, so figures of another set are another measurement. ``reps`` belongs to
the name for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class DepthSpec:
    """Prefill and decode behind a context that is filled (``llama-bench -d``)."""

    kind: ClassVar[str] = "depth"
    revision: ClassVar[int] = 1
    depth: int
    """Tokens in the KV cache before each phase."""
    n_prompt: int = 512
    """Tokens of one prefill; 0: not timed."""
    n_gen: int = 128
    """Tokens of one decode; 0: not timed."""
    reps: int = 5
    peers: str = ""


@dataclass(frozen=True, slots=True)
class StreamsSpec:
    """Both phases of several texts side by side (``llama-batched-bench -npl``)."""

    kind: ClassVar[str] = "streams"
    revision: ClassVar[int] = 1
    n_streams: int
    n_prompt: int = 128
    """Tokens of each text's prompt; they share none."""
    n_gen: int = 32
    """Tokens decoded for each."""
    reps: int = 5
    peers: str = ""


@dataclass(frozen=True, slots=True)
class ClientsSpec:
    """What several clients see who ask one session, each again when answered."""

    kind: ClassVar[str] = "clients"
    revision: ClassVar[int] = 1
    n_clients: int
    n_prompt: int = 128
    """Random tokens of each prompt: nothing of another is reused."""
    n_gen: int = 32
    """Tokens of each answer; none ends earlier."""
    n_rounds: int = 2
    """Questions that each client asks in one repetition."""
    reps: int = 3
    peers: str = ""


@dataclass(frozen=True, slots=True)
class LoadTimeSpec:
    """Seconds from nothing to the first token, in a process of its own."""

    kind: ClassVar[str] = "load-time"
    revision: ClassVar[int] = 1
    n_ctx: int
    kv_type: str = "f16"
    flash_attn: bool | None = None
    n_gpu_layers: int | None = None
    reps: int = 5
    peers: str = ""


@dataclass(frozen=True, slots=True)
class EnergySpec:
    """Joule per decoded token, one stream."""

    kind: ClassVar[str] = "energy"
    revision: ClassVar[int] = 1
    method: str
    """Which counter was read."""
    n_gen: int = 128
    reps: int = 3
    peers: str = ""


SpeedSpecs = DepthSpec | StreamsSpec | ClientsSpec | LoadTimeSpec | EnergySpec
