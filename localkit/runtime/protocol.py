"""The seam between localkit and whatever runs a model.

`Runtime` loads a file into a `Session`; a session tokenizes, generates, scores
and times. `llama` implements it over llama.cpp, `fake` without weights for
tests. Callers hold these types only.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from localkit.events import CancelToken, OnProgress, Timings, Usage, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo

FinishReason = Literal["stop", "length", "tool_calls", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class LoadParams:
    """How to load a model; None means the runtime chooses and reports."""

    n_ctx: int | None = None
    """Context length in tokens, shared by all sequences."""
    n_batch: int = 2048
    """Most tokens handed to one decode call."""
    n_ubatch: int = 512
    """Most tokens computed at once: the micro-batch."""
    n_seq_max: int = 8
    """Most sequences held side by side (endings of one question)."""
    n_threads: int | None = None
    n_gpu_layers: int | None = None
    """Layers on a GPU; None: as many as fit; -1: all."""
    kv_type: str = "f16"
    """Type of the K and V cache: ``f16``, ``q8_0``, ``q4_0``, …"""
    flash_attn: bool | None = None
    """None: llama.cpp decides for the device."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen; defaults as Ollama's."""

    temperature: float = 0.8
    """0 takes the most likely token every time."""
    top_k: int = 40
    """0: no limit."""
    top_p: float = 0.9
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    seed: int | None = None
    """None draws one; the result reports which."""
    max_tokens: int | None = None
    """None: until the model stops or the context is full."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything about the runtime that may change a figure."""

    engine: str
    """``llama-cpp-python 0.3.36 (llama.cpp 0.5.0-dev)``."""
    backend: str
    """``CPU``, ``CUDA``, ``Metal``, …"""
    device: str
    """Processor or GPU as the system names it."""
    features: str
    """Instruction sets the engine was built for, sorted."""
    n_ctx: int
    n_batch: int
    n_ubatch: int
    n_seq_max: int
    n_threads: int
    n_gpu_layers: int
    kv_type: str
    flash_attn: str
    """``on``, ``off`` or ``auto``."""

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields as a flat mapping for records."""
        return asdict(self)

    def numeric(self) -> dict[str, str | int]:
        """Return the fields that may change a logit; threads and context do not."""
        keep = ("engine", "backend", "features", "n_ubatch", "kv_type", "flash_attn")
        return {key: value for key, value in asdict(self).items() if key in keep}


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes the engine allocated for one session, by kind."""

    weights: int
    kv: int
    compute: int
    by_device: Mapping[str, int] = field(default_factory=dict)
    """Sum of the three per device name."""

    @property
    def total(self) -> int:
        """All three kinds."""
        return self.weights + self.kv + self.compute


class Piece(NamedTuple):
    """One step of a streamed answer."""

    text: str
    """New text; may be empty while a character or a stop text is incomplete."""
    token: int
    """The token that was sampled."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer: what was sampled and how it ended."""

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    seed: int


class Stream(Protocol):
    """An answer in progress: iterate for pieces, then read `generation`."""

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces as they come; ends early when cancelled."""

    @property
    def generation(self) -> Generation:
        """The whole answer so far; final once iteration has ended."""


class ContinuationScore(NamedTuple):
    """How likely a continuation is after its prompt."""

    logprobs: NDArray[np.float64]
    """Natural log of each continuation token's probability, shape (n_tokens,)."""
    is_greedy: bool
    """Whether each token was the most likely one."""


class Session(Protocol):
    """One loaded model. Safe to call from any thread; calls are served in order."""

    @property
    def info(self) -> ModelInfo:
        """What the file says."""

    @property
    def fingerprint(self) -> Fingerprint:
        """What the runtime is and how it was set up."""

    @property
    def memory(self) -> MemoryUse:
        """What loading allocated."""

    @property
    def n_ctx(self) -> int:
        """Context length in tokens."""

    @property
    def n_vocab(self) -> int:
        """Size of the vocabulary."""

    @property
    def bos(self) -> int | None:
        """The token that begins a text, if there is one."""

    @property
    def eos(self) -> int | None:
        """The token that ends a text, if there is one."""

    @property
    def adds_bos(self) -> bool:
        """Whether the tokenizer puts `bos` before a text by default."""

    @property
    def control_tokens(self) -> Mapping[str, int]:
        """Text of every control and user-defined token, with its id."""

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return token ids.

        ``add_special`` adds what the tokenizer puts around a text (BOS).
        ``parse_special`` lets control tokens in ``text`` take effect; keep it
        False for anything a user wrote.
        """

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``; control tokens only if ``special``."""

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        cancel: CancelToken | None = None,
    ) -> Stream:
        """Start an answer to ``prompt``.

        Raises:
            ContextTooLong: the prompt leaves no room for one token.
            SessionClosed: the model was unloaded.
        """

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``.

        The prompt is computed once. Neither may be empty.

        Raises:
            ContextTooLong: prompt and longest continuation exceed the context.
            Cancelled: ``cancel`` was raised.
        """

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield next-token logits for positions ``first`` to the end.

        Blocks have shape (rows, n_vocab), at most ``n_ubatch`` rows, and belong
        to the caller. Nothing of an earlier call is left in the KV cache.
        """

    def time_prefill(self, n_tokens: int) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp)."""

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""

    def close(self) -> None:
        """Free the model; waits for the call in progress. May be called twice."""


class Runtime(Protocol):
    """Something that loads models."""

    def load(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Session:
        """Load the file that ``info`` describes.

        Raises:
            LoadFailed: the engine refuses the model; says why.
            DoesNotFit: estimated memory exceeds what is available.
            EngineMissing: the engine is not installed.
        """
