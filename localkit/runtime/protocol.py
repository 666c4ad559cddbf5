"""The seam between localkit and whatever runs a model.

`Runtime` loads a file into a `Session`; a session tokenizes, generates, scores,
embeds and times. `llama` implements it over llama.cpp, `worker` over a child
process, `fake` without weights for tests. Callers hold these types only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from localkit.events import CancelToken, OnProgress, no_progress
from localkit.runtime.params import (
    Adapter,
    LoadParams,
    Pooling,
    SamplingParams,
    ServeParams,
    Structure,
)
from localkit.runtime.values import (
    Activity,
    ContinuationScore,
    Fingerprint,
    FinishReason,
    Generation,
    MemoryUse,
    Piece,
    PromptLogprob,
    StreamTimes,
    TokenLogprob,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.vision.images import Image

__all__ = [
    "Activity",
    "Adapter",
    "ContinuationScore",
    "Fingerprint",
    "FinishReason",
    "Generation",
    "LoadParams",
    "MemoryUse",
    "Piece",
    "Pooling",
    "PromptLogprob",
    "Runtime",
    "SamplingParams",
    "ServeParams",
    "Session",
    "Stream",
    "StreamTimes",
    "Structure",
    "TokenLogprob",
]


class Stream(Protocol):
    """An answer in progress: iterate for pieces, then read `generation`."""

    def start(self) -> None:
        """Queue the answer now; iterating and waiting do so otherwise."""

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces as they come; ends early when cancelled."""

    def wait(self) -> Generation:
        """Compute the answer without reading its pieces, and return it."""

    @property
    def generation(self) -> Generation:
        """The whole answer so far; final once iteration has ended."""


# A frozen value, so that it may stand as a default.
SERVE = ServeParams()


class Session(Protocol):
    """One loaded model. Safe to call from any thread.

    Answers, scores and embeddings are computed side by side in slots; requests
    that find no free slot wait, first come first served within a priority.
    """

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
    def activity(self) -> Activity:
        """What it is doing now; never waits for the engine."""

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

    def see(self, image: Image) -> list[int]:
        """Return the tokens that stand for ``image`` in a prompt.

        The text that the model's family writes around an image is part of them;
        negative ones are the image itself and mean nothing elsewhere.

        Raises:
            Unsupported: the model was loaded without a projector.
        """

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        images: Sequence[Image] = (),
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> Stream:
        """Start an answer to ``prompt``; it is computed once iterated.

        ``images`` are those that `see` made tokens of; the prompt may show each
        as often as it likes.

        Raises:
            ContextTooLong: the prompt leaves no room for one token.
            GrammarInvalid: ``params.structure`` cannot be compiled; says why.
            UsageError: the prompt shows an image that was not given.
            SessionClosed: the model was unloaded.
        """

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``.

        The prompt is computed once, and not at all as far as it is cached.
        Neither may be empty.

        Raises:
            ContextTooLong: prompt and longest continuation exceed the context.
            Cancelled: ``cancel`` was raised.
        """

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return one vector per input, shape (n_inputs, n_embd).

        Args:
            inputs: Token ids, special tokens included; none may be empty.
            pooling: None: as the model says, else ``mean``. ``rank`` gives the
                score of a reranking model, shape (n_inputs, n_scores), as it is.
            normalize: Scale each vector to length 1.
            cancel: Raise it to stop.

        Raises:
            ContextTooLong: an input exceeds the context.
            UsageError: an input is empty, or no pooling is called so.
            Unsupported: ``rank`` of a model that was not made to rank.
            Cancelled: ``cancel`` was raised.
        """

    def pair(self, query: str, document: str) -> list[int]:
        """Return the tokens that a reranking model reads for the two."""

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

    def save_state(self, tokens: Sequence[int]) -> bytes:
        """Return the KV cache of ``tokens``, computing what is not cached.

        Raises:
            ContextTooLong: the tokens exceed the context.
        """

    def restore_state(self, state: bytes) -> int:
        """Put a saved KV cache into a free slot; return its number of tokens.

        A prompt that begins with those tokens then reuses them.

        Raises:
            UsageError: the state is of another model, or of other KV types.
        """

    def time_prefill(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp).

        ``depth`` tokens are in the KV cache before. Computed once, they are kept
        for the next timing at the same depth.

        Raises:
            ContextTooLong: both together exceed the context.
        """

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""

    def time_streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return seconds of both phases, so many texts at once (batched-bench).

        Raises:
            ContextTooLong: the texts together exceed the context.
            UsageError: the session has fewer slots.
        """

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
