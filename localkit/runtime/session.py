"""A model loaded by llama.cpp, behind the `Session` protocol."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from localkit.errors import ContextTooLong, SessionClosed, Unsupported, UsageError
from localkit.events import CancelToken
from localkit.runtime.embedding.pairing import pair_tokens
from localkit.runtime.engine import states, timing
from localkit.runtime.engine.generation import Answer
from localkit.runtime.engine.reading import Reading
from localkit.runtime.engine.samplers import Chain
from localkit.runtime.engine.scoring import Prefill, Score, emit_logits
from localkit.runtime.engine.speculation import PromptLookup
from localkit.runtime.engine.stream import LlamaStream
from localkit.runtime.isolation import forks
from localkit.runtime.protocol import SERVE
from localkit.runtime.values import Activity
from localkit.runtime.vision import looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.engine.jobs import Job
    from localkit.runtime.engine.owner import Emit
    from localkit.runtime.engine.speculation import Drafter
    from localkit.runtime.loaded import Loaded
    from localkit.runtime.params import Pooling, SamplingParams, ServeParams
    from localkit.runtime.structured.compiler import Compiler
    from localkit.runtime.structured.constraint import Constraint
    from localkit.runtime.values import (
        ContinuationScore,
        Fingerprint,
        MemoryUse,
        Piece,
        StreamTimes,
    )
    from localkit.runtime.vision.images import Image
    from localkit.runtime.vision.vision import Media, Projector

# Waking the reader at every token takes a core from the engine's threads, which
# spin until the one that lost it is back. Nobody reads faster than 30 times a second.
_PACE_S = 0.03


class LlamaSession:
    """One model, one context, one owner thread that computes for all callers."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        info: ModelInfo,
        fingerprint: Fingerprint,
        memory: MemoryUse,
    ) -> None:
        """Take over what the runtime loaded."""
        self._loaded = loaded
        self._owner = loaded.owner
        self._context = loaded.context
        self._scheduler = loaded.scheduler
        self._vocabulary = loaded.vocabulary
        self._closed = False
        self.info = info
        self.fingerprint = fingerprint
        self.memory = memory
        self.n_ctx = loaded.context.n_ctx
        self.n_vocab = loaded.vocabulary.n_tokens
        self.adds_bos = loaded.vocabulary.adds_bos

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a text, if there is one."""
        return self._vocabulary.bos

    @cached_property
    def eos(self) -> int | None:
        """The token that ends a text, if there is one."""
        return self._vocabulary.eos

    @cached_property
    def control_tokens(self) -> Mapping[str, int]:
        """Text of every control and user-defined token, with its id."""
        self._check_open()
        return self._vocabulary.control_tokens

    @property
    def activity(self) -> Activity:
        """What the engine is doing now."""
        pace = self._loaded.pace
        return Activity(
            n_slots=self.fingerprint.n_seq_max,
            n_busy=self._scheduler.n_busy,
            n_queued=self._scheduler.n_queued,
            n_computed=self._scheduler.n_computed,
            decode_per_s=pace.decode_per_s(),
            n_threads=pace.n_threads,
            prefill_per_s=pace.prefill_per_s(),
            n_cells=self._scheduler.n_cells,
        )

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return the token ids of ``text``."""
        self._check_open()
        return self._vocabulary.tokenize(
            text, add_special=add_special, parse_special=parse_special
        )

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``."""
        self._check_open()
        self._check_tokens(tokens)
        return self._vocabulary.detokenize(tokens, special=special)

    def see(self, image: Image) -> list[int]:
        """Return the tokens that stand for ``image`` in a prompt."""
        self._check_generates()
        return looking.flat(self._projector.see(image))

    @property
    def _projector(self) -> Projector:
        if self._loaded.projector is None:
            raise looking.blind(self.info)
        return self._loaded.projector

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        images: Sequence[Image] = (),
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> LlamaStream:
        """Start an answer to ``prompt``."""
        self._check_generates()
        media: Mapping[int, Media] = {}
        if images:
            looking.check(params, serve)
            media = looking.place(prompt, [self._projector.see(one) for one in images])
        text = [token for token in prompt if token >= 0] if media else prompt
        self._check_tokens(text, what="prompt")
        self._check_tokens([token for token, _ in params.logit_bias])
        more_cells = sum(one.n_cells - one.n_positions for one in media.values())
        if len(prompt) + more_cells >= self.n_ctx:
            raise ContextTooLong(len(prompt) + more_cells, self.n_ctx)
        reading: Reading[None, Piece] = Reading(
            cancel, stop=self._owner.stop, pace_s=_PACE_S
        )
        answer = Answer(
            self._vocabulary,
            prompt,
            params,
            serve,
            n_ctx=self.n_ctx - more_cells,
            reading=reading,
            chain=self._chain,
            constraint=self._constraint(params),
            drafter=self._drafter(serve),
            notes=self._loaded.pace.notes,
            media=media,
        )
        return LlamaStream(answer, reading, self._enqueue)

    def _chain(self, params: SamplingParams, seed: int, prompt: Sequence[int]) -> Chain:
        return Chain(
            self._loaded.engine,
            self._vocabulary,
            params,
            seed=seed,
            prompt=prompt,
            n_ctx=self.n_ctx,
        )

    def _constraint(self, params: SamplingParams) -> Constraint | None:
        if params.structure is None:
            return None
        return self._compiler.compile(params.structure).start()

    @cached_property
    def _compiler(self) -> Compiler:
        from localkit.runtime.structured.compiler import Compiler

        return Compiler(self._vocabulary)

    def _drafter(self, serve: ServeParams) -> Drafter | None:
        if serve.speculate == "off":
            return None
        if not self._loaded.cut:
            msg = (
                f"{self.info.architecture} keeps a state that cannot take back guesses"
            )
            raise Unsupported(msg, hint="leave speculate='off' for this model")
        if serve.speculate == "prompt-lookup":
            return PromptLookup()
        if self._loaded.draft is None:
            msg = "speculate='draft' needs a draft model"
            raise UsageError(msg, hint="load with draft=…, or use 'prompt-lookup'")
        return self._loaded.draft

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``."""
        self._check_generates()
        self._check_tokens(prompt, what="prompt")
        for continuation in continuations:
            self._check_tokens(continuation, what="continuation")
            n_tokens = len(prompt) + len(continuation) - 1
            if n_tokens > self.n_ctx:
                raise ContextTooLong(n_tokens, self.n_ctx)
        if not continuations:
            return []
        reading: Reading[list[ContinuationScore], None] = Reading(
            cancel, stop=self._owner.stop
        )
        self._enqueue(Score(prompt, continuations, serve, reading))
        return reading.wait()

    def _enqueue(self, job: Job) -> None:
        def put(number: int) -> None:
            job.number = number
            self._scheduler.enqueue(job)

        self._owner.enqueue(put)

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return one vector per input."""
        self._check_open()
        for tokens in inputs:
            self._check_tokens(tokens, what="input")
        return self._owner.call(
            lambda token: self._loaded.embedder.embed(
                inputs, pooling=pooling, normalize=normalize, cancel=token
            ),
            cancel=cancel,
        )

    def pair(self, query: str, document: str) -> list[int]:
        """Return the tokens that a reranking model reads for the two."""
        self._check_open()
        loaded = self._loaded
        return pair_tokens(
            loaded.engine, loaded.model, self._vocabulary, query, document
        )

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield next-token logits for positions ``first`` to the end."""
        self._check_generates()
        self._check_tokens(tokens, what="text")
        if len(tokens) > self.n_ctx:
            raise ContextTooLong(len(tokens), self.n_ctx)
        token = cancel or CancelToken()

        def work(emit: Emit[NDArray[np.float32]]) -> None:
            with self._scheduler.emptied():
                emit_logits(self._context, tokens, first=first, cancel=token, emit=emit)

        # The engine computes the next rows while the reader uses these.
        reading = self._owner.start(work, cancel=token, ahead=4)
        yield from reading
        _ = reading.result

    def save_state(self, tokens: Sequence[int]) -> bytes:
        """Return the KV cache of ``tokens``."""
        self._check_generates()
        self._check_tokens(tokens, what="prompt")
        if len(tokens) > self.n_ctx:
            raise ContextTooLong(len(tokens), self.n_ctx)
        cells = None
        while cells is None:  # other requests may take the slot in between
            reading: Reading[None, None] = Reading(stop=self._owner.stop)
            self._enqueue(Prefill(tokens, SERVE, reading))
            reading.wait()
            cells = self._owner.call(lambda _: self._scheduler.save(list(tokens)))
        return states.pack(tokens, cells, made_by=self._state_maker)

    def restore_state(self, state: bytes) -> int:
        """Put a saved KV cache into a free slot; return its number of tokens."""
        self._check_generates()
        tokens, cells = states.unpack(state, made_by=self._state_maker)
        self._check_tokens(tokens, what="state")
        if not self._owner.call(lambda _: self._scheduler.restore(tokens, cells)):
            msg = f"llama.cpp refused the state of {len(tokens)} tokens"
            raise UsageError(msg, hint="is n_ctx smaller than where it was saved?")
        return len(tokens)

    @cached_property
    def _state_maker(self) -> str:
        """Everything that saved cells depend on."""
        weights = states.weights_mark(self.info.path)
        return (
            f"{self.info.name} {self.info.label} {weights}, "
            f"KV {self.fingerprint.kv_type}, {self.fingerprint.engine}"
        )

    def time_prefill(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp)."""
        self._check_room(n_tokens + depth)
        watch = self._stopwatch
        return self._owner.call(lambda _: watch.prefill(n_tokens, depth=depth))

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""
        self._check_room(n_tokens + depth)
        watch = self._stopwatch
        return self._owner.call(lambda _: watch.decode(n_tokens, depth=depth))

    def time_streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return seconds of both phases, so many texts at once (batched-bench)."""
        self._check_room(n_streams * (n_prompt + n_gen))
        if not 0 < n_streams <= self.fingerprint.n_seq_max:
            msg = f"{n_streams} streams were asked of {self.fingerprint.n_seq_max}"
            raise UsageError(msg, hint="load with as large an n_seq_max")
        watch = self._stopwatch
        return self._owner.call(lambda _: watch.streams(n_prompt, n_gen, n_streams))

    def fill_context(self, n_tokens: int, *, before: Callable[[], None]) -> int:
        """Compute ``n_tokens`` at the end of a full context; see `Stopwatch`."""
        self._check_room(n_tokens)
        watch, n_slots = self._stopwatch, self.fingerprint.n_seq_max
        return self._owner.call(
            lambda _: watch.end_of_context(n_tokens, n_sequences=n_slots, before=before)
        )

    @cached_property
    def _stopwatch(self) -> timing.Stopwatch:
        bos = self.bos if self.adds_bos else None
        return timing.Stopwatch(
            self._scheduler, self._context, n_vocab=self.n_vocab, bos=bos
        )

    def close(self) -> None:
        """Stop what is running, then free the model. May be called twice."""
        self._closed = True
        self._owner.close(self._free)

    def _free(self) -> None:
        if "_compiler" in vars(self):
            self._compiler.close()  # it reads the model's vocabulary
        self._loaded.free()

    def _check_open(self) -> None:
        forks.check()
        if self._closed:
            msg = f"{self.info.name} was unloaded"
            raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")

    def _check_generates(self) -> None:
        self._check_open()
        if not self._context.has_memory:
            msg = f"{self.info.name} ({self.info.architecture}) is an encoder"
            raise Unsupported(msg, hint="it only embeds: `model.embed(...)`")

    def _check_room(self, n_tokens: int) -> None:
        self._check_generates()
        if not 0 < n_tokens <= self.n_ctx:
            raise ContextTooLong(n_tokens, self.n_ctx)

    def _check_tokens(self, tokens: Sequence[int], *, what: str = "") -> None:
        if what and not tokens:
            msg = f"the {what} is empty"
            raise UsageError(msg, hint="give at least one token; BOS counts")
        bad = next((token for token in tokens if not 0 <= token < self.n_vocab), None)
        if bad is not None:
            msg = f"token {bad} is not in the vocabulary of {self.n_vocab}"
            raise UsageError(msg, hint="tokenize the text with this model")
