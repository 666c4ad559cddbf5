"""What a caller asks of a runtime: how to load, how to sample, how to serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Priority = Literal["interactive", "bulk"]
Speculation = Literal["off", "prompt-lookup", "draft"]
StructureKind = Literal["json", "json_schema", "regex", "choice", "gbnf", "lark"]
Pooling = Literal["mean", "cls", "last", "rank"]


@dataclass(frozen=True, slots=True)
class LoadParams:
    """How to load a model; None means the runtime chooses and reports."""

    n_ctx: int | None = None
    """Context length in tokens, shared by all sequences."""
    n_batch: int = 2048
    """Most tokens handed to one decode call."""
    n_ubatch: int = 512
    """Most tokens computed at once: the micro-batch."""
    n_seq_max: int = 16
    """Slots: most sequences held side by side, answers in progress and cached."""
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    """Layers on a GPU; None: as many as fit; -1: all."""
    kv_type: str = "f16"
    """Type of the K and V cache: ``f16``, ``q8_0``, ``q4_0``, …"""
    flash_attn: bool | None = None
    """None: llama.cpp decides for the device."""
    draft: Path | None = None
    """Smaller model of the same vocabulary that drafts tokens for this one."""
    projector: Path | None = None
    """What lets this model see: the mmproj file that was published with it."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The form every sampled answer must have; see `runtime.structured`."""

    kind: StructureKind
    """``json``: any JSON object; the others read `text`."""
    text: str = ""
    """JSON Schema, regular expression, JSON list of choices, GBNF or Lark grammar."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen; defaults as Ollama's."""

    temperature: float = 0.8
    """0 takes the most likely token every time."""
    top_k: int = 40
    """0: no limit."""
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    """Locally typical sampling (Meister et al. 2022); 1: off."""
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    """Tokens that the three penalties look back at; prompt included."""
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    xtc_probability: float = 0.0
    """Chance per token to drop all but the least likely top choice; 0: off."""
    xtc_threshold: float = 0.1
    dry_multiplier: float = 0.0
    """Strength of the penalty on repeated sequences (DRY); 0: off."""
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = -1
    """Tokens DRY looks back at; -1: the whole context."""
    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: Literal[0, 1, 2] = 0
    """Version of mirostat (Basu et al. 2021) in place of the filters; 0: off."""
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token, number added to its logit); ``-inf`` forbids the token."""
    seed: int | None = None
    """None draws one; the result reports which."""
    max_tokens: int | None = None
    """None: until the model stops or the context is full."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    top_logprobs: int | None = None
    """Alternatives to report with each token's logprob; 0: the token's alone."""
    prompt_logprobs: int | None = None
    """The same for each token of the prompt; all of it is computed then, cached or
    not."""
    structure: Structure | None = None
    """Only answers of this form are sampled."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter and how strongly it applies."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class ServeParams:
    """How one request is served beside the others."""

    priority: Priority = "interactive"
    """Interactive requests are admitted before bulk ones."""
    adapters: tuple[Adapter, ...] = ()
    """Requests with the same adapters are computed together."""
    speculate: Speculation = "off"
    """Guess tokens ahead and verify them in one step; the answer is the same."""
    n_draft: int = 8
    """Most tokens guessed at once."""
    exact: bool = False
    """Compute alone and in fixed steps, so that no other request, and nothing that
    is cached, changes a bit of the result; slower, and without speculation. See
    design/025."""
    context_shift: bool = False
    """When the context is full, drop the oldest half after the first tokens."""
