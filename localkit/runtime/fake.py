"""A runtime without weights, for tests: bytes are tokens, logits are a seeded table.

The next-token logits depend on the last token only, so generation, scoring and
perplexity agree with each other as they do in a real model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from localkit.errors import (
    Cancelled,
    ContextTooLong,
    SessionClosed,
    Unsupported,
    UsageError,
)
from localkit.events import (
    CancelToken,
    OnProgress,
    Progress,
    Timings,
    Usage,
    no_progress,
)
from localkit.runtime.protocol import SERVE
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
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.params import LoadParams, Pooling, SamplingParams, ServeParams
    from localkit.runtime.vision.images import Image

BOS, EOS = 256, 257
CONTROL = {"<s>": BOS, "</s>": EOS, "<|im_start|>": 258, "<|im_end|>": 259}
N_VOCAB = 260
_SPLIT = re.compile("(" + "|".join(re.escape(text) for text in CONTROL) + ")")


@dataclass
class FakeRuntime:
    """Load any `ModelInfo` without reading its file."""

    replies: Sequence[str] = ()
    """Answers given in turn; when used up, the table decides."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation added to the logits, by quant: a stand-in for its loss."""
    before_token: Callable[[int], None] = lambda _: None
    """Called with the index of each token before it is sampled."""
    before_load: Callable[[ModelInfo], None] = lambda _: None
    """Called on the loading thread before each load: may wait, or raise."""
    loaded: list[FakeSession] = field(default_factory=list)
    """Every session handed out, closed ones included."""

    def load(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> FakeSession:
        """Return a session as soon as `before_load` lets it."""
        on_progress(Progress("loading", 0, 1))
        self.before_load(info)
        if cancel is not None and cancel.cancelled:
            msg = "loading was stopped"
            raise Cancelled(msg)
        on_progress(Progress("loading", 1, 1))
        session = FakeSession(info, params, self)
        self.loaded.append(session)
        return session


class FakeStream:
    """A scripted answer in progress."""

    def __init__(
        self,
        session: FakeSession,
        prompt: Sequence[int],
        params: SamplingParams,
        cancel: CancelToken | None,
    ) -> None:
        """Keep what the answer depends on; nothing runs before iteration."""
        self._session = session
        self._prompt = tuple(prompt)
        self._params = params
        self._cancel = cancel
        self._tokens: list[int] = []
        self._text = ""
        self._finish: FinishReason = "interrupted"

    def __iter__(self) -> Iterator[Piece]:
        """Yield one piece a token."""
        scripted = self._session.next_reply()
        room = self._session.n_ctx - len(self._prompt)
        limit = min(self._params.max_tokens or room, room)
        last = self._prompt[-1]
        for index in range(limit):
            self._session.runtime.before_token(index)
            if self._cancel is not None and self._cancel.cancelled:
                return
            if scripted is not None:
                last = scripted[index] if index < len(scripted) else EOS
            else:
                last = int(self._session.table[last].argmax())
            self._tokens.append(last)
            if last in (EOS, CONTROL["<|im_end|>"]):
                self._finish = "stop"
                return
            piece = self._session.detokenize([last])
            self._text += piece
            for stop in self._params.stop:
                if stop in self._text:
                    self._text = self._text.split(stop)[0]
                    self._finish = "stop"
                    return
            yield Piece(piece, last)
        self._finish = "length"

    def start(self) -> None:
        """Do nothing: a fake computes while it is read."""

    def wait(self) -> Generation:
        """Read every piece and return the answer."""
        for _ in self:
            pass
        return self.generation

    @property
    def generation(self) -> Generation:
        """Return the answer so far, with made-up timings."""
        usage = Usage(n_prompt=len(self._prompt), n_generated=len(self._tokens))
        seconds = 0.001 * len(self._tokens)
        return Generation(
            text=self._text,
            tokens=tuple(self._tokens),
            finish_reason=self._finish,
            usage=usage,
            timings=Timings(prefill_s=0.001, decode_s=seconds, ttft_s=0.001),
            seed=self._params.seed or 0,
            token_s=tuple(0.001 * (1 + n) for n in range(len(self._tokens))),
            prompt_logprobs=self._prompt_logprobs() if self._tokens else (),
        )

    def _prompt_logprobs(self) -> tuple[PromptLogprob, ...]:
        """Return the table's figures of each prompt token, where asked for."""
        n_top = self._params.prompt_logprobs
        if n_top is None:
            return ()
        pairs = pairwise(self._prompt)
        told = []
        for last, token in pairs:
            row = self._session.logprobs(last)
            best = row.argsort()[::-1][:n_top]
            top = tuple((int(one), float(row[one])) for one in best)
            told.append(PromptLogprob(token, float(row[token]), top))
        return tuple(told)


class FakeSession:
    """One loaded fake: 260 tokens, the bytes and four control tokens."""

    n_vocab = N_VOCAB
    bos: int | None = BOS
    eos: int | None = EOS
    adds_bos = True
    control_tokens: Mapping[str, int] = MappingProxyType(CONTROL)

    def __init__(
        self, info: ModelInfo, params: LoadParams, runtime: FakeRuntime
    ) -> None:
        """Take the context length from ``params``, else 4096 tokens."""
        self.info = info
        self.runtime = runtime
        self.n_ctx = params.n_ctx or 4096
        self.closed = False
        self.n_computed = 0
        self.asked: list[SamplingParams] = []
        """Params of every answer that was asked for."""
        self._params = params
        self._replies = iter(runtime.replies)
        self.memory = MemoryUse(info.weights_size, 1024 * self.n_ctx, 1 << 20, {})
        self.fingerprint = Fingerprint(
            engine="fake",
            backend="CPU",
            device="none",
            features="",
            n_ctx=self.n_ctx,
            n_batch=params.n_batch,
            n_ubatch=params.n_ubatch,
            n_seq_max=params.n_seq_max,
            n_threads=params.n_threads or 1,
            n_gpu_layers=0,
            kv_type=params.kv_type,
            flash_attn="off",
        )

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """Logits of the next token by last token, shape (n_vocab, n_vocab)."""
        import numpy as np

        logits = np.random.default_rng(0).normal(0, 2, (N_VOCAB, N_VOCAB))
        spread = self.runtime.noise.get(self.info.quant, 0.0)
        if spread:
            logits += np.random.default_rng(1).normal(0, spread, logits.shape)
        return logits.astype(np.float32)

    def logprobs(self, last: int) -> NDArray[np.float64]:
        """Return the natural log of each next token's probability after ``last``."""
        import numpy as np

        row: NDArray[np.float64] = self.table[last].astype(np.float64)
        row -= np.log(np.exp(row).sum())
        return row

    def next_reply(self) -> list[int] | None:
        """Return the next scripted answer as tokens; None when used up."""
        reply = next(self._replies, None)
        return None if reply is None else list(reply.encode())

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return one token a byte; control tokens only if asked for."""
        self._check_open()
        tokens = [BOS] if add_special else []
        for part in _SPLIT.split(text) if parse_special else [text]:
            if parse_special and part in CONTROL:
                tokens.append(CONTROL[part])
            else:
                tokens.extend(part.encode())
        return tokens

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text; broken characters become U+FFFD."""
        names = {token: text.encode() for text, token in CONTROL.items()}
        parts = [
            bytes([token]) if token < BOS else names[token] if special else b""
            for token in tokens
        ]
        return b"".join(parts).decode(errors="replace")

    def see(self, image: Image) -> list[int]:
        """Return four tokens made of the image's digest, where there is a projector."""
        self._check_open()
        if self._params.projector is None:
            msg = f"{self.info.name} was loaded without a projector"
            raise Unsupported(msg, hint="load with projector=…")
        return [-1 - int(image.digest, 16)] * 4

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        images: Sequence[Image] = (),
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> FakeStream:
        """Start an answer; how it is served, and images, change nothing here."""
        del serve
        self._check_open()
        given = {token for image in images for token in self.see(image)}
        if prompt[-1] < 0 or not given.issuperset(one for one in prompt if one < 0):
            msg = "the prompt ends with an image, or shows one that was not given"
            raise UsageError(msg, hint="pass images=…, and text behind the last")
        self.asked.append(params)
        if len(prompt) >= self.n_ctx:
            raise ContextTooLong(len(prompt), self.n_ctx)
        return FakeStream(self, prompt, params, cancel)

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Score each continuation with the table."""
        import numpy as np

        del serve
        self._check_open()
        scores = []
        for continuation in continuations:
            if cancel is not None and cancel.cancelled:
                msg = "scoring was stopped"
                raise Cancelled(msg)
            if len(prompt) + len(continuation) > self.n_ctx:
                raise ContextTooLong(len(prompt) + len(continuation), self.n_ctx)
            before = [prompt[-1], *continuation[:-1]]
            rows = self.table[before].astype(np.float64)
            rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
            logprobs = rows[np.arange(len(before)), list(continuation)]
            greedy = bool((rows.argmax(axis=1) == list(continuation)).all())
            scores.append(ContinuationScore(logprobs, greedy))
        return scores

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the table's rows for ``tokens[first:]``."""
        self._check_open()
        if len(tokens) > self.n_ctx:
            raise ContextTooLong(len(tokens), self.n_ctx)
        for start in range(first, len(tokens), self._params.n_ubatch):
            if cancel is not None and cancel.cancelled:
                msg = "scoring was stopped"
                raise Cancelled(msg)
            yield self.table[list(tokens[start : start + self._params.n_ubatch])]

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return how often each token occurs, one row an input."""
        import numpy as np

        del pooling
        self._check_open()
        if cancel is not None and cancel.cancelled:
            msg = "embedding was stopped"
            raise Cancelled(msg)
        counts = [np.bincount(tokens, minlength=N_VOCAB) for tokens in inputs]
        vectors = np.array(counts, np.float32).reshape(len(inputs), N_VOCAB)
        if normalize:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def pair(self, query: str, document: str) -> list[int]:
        """Return the tokens of both, one behind the other."""
        return self.tokenize(query) + self.tokenize(document, add_special=False)

    def save_state(self, tokens: Sequence[int]) -> bytes:
        """Return the tokens, two bytes each."""
        return b"".join(token.to_bytes(2, "little") for token in tokens)

    def restore_state(self, state: bytes) -> int:
        """Return how many tokens were saved."""
        return len(state) // 2

    @property
    def activity(self) -> Activity:
        """Return an idle session's."""
        return Activity(
            n_slots=self._params.n_seq_max,
            n_busy=0,
            n_queued=0,
            n_computed=self.n_computed,
            decode_per_s=0.0,
            n_threads=self.fingerprint.n_threads,
        )

    def time_prefill(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return 1 ms a token, and a tenth more per 1024 tokens of depth."""
        return (0.001 + 0.0001 * depth / 1024) * n_tokens

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return 10 ms a token, and 1 ms more per 1024 tokens of depth."""
        return (0.01 + 0.001 * depth / 1024) * n_tokens

    def time_streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return the time of one stream twice, however many there are."""
        del n_streams
        return StreamTimes(2 * self.time_prefill(n_prompt), 2 * self.time_decode(n_gen))

    def close(self) -> None:
        """Refuse what comes after."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            msg = f"{self.info.name} was unloaded"
            raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")
