"""A session whose engine runs in a worker, behind the `Session` protocol."""

from __future__ import annotations

import queue
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from localkit.errors import LocalkitError, SessionClosed
from localkit.runtime.isolation.isolated_stream import IsolatedStream
from localkit.runtime.isolation.worker_values import prompt_out, serve_out
from localkit.runtime.isolation.worker_wire import (
    Message,
    arrays,
    token_lists,
    with_arrays,
)
from localkit.runtime.protocol import SERVE
from localkit.runtime.values import (
    Activity,
    ContinuationScore,
    Fingerprint,
    MemoryUse,
    StreamTimes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from localkit.events import CancelToken
    from localkit.gguf.info import ModelInfo
    from localkit.runtime.isolation.call import Call
    from localkit.runtime.isolation.keeper import Keeper
    from localkit.runtime.params import Pooling, SamplingParams, ServeParams
    from localkit.runtime.vision.images import Image

# A worker answers within a few ms; after this, what it did last is as good.
_ACTIVITY_S = 0.25


class IsolatedSession:
    """One model in a worker, which is started anew once after a death."""

    def __init__(self, info: ModelInfo, keeper: Keeper, facts: dict[str, Any]) -> None:
        """Take over the worker that has the model, and what it said about it."""
        self.info = info
        self.fingerprint = Fingerprint(**facts["fingerprint"])
        self.memory = MemoryUse(**facts["memory"])
        self.n_ctx: int = facts["n_ctx"]
        self.n_vocab: int = facts["n_vocab"]
        self.bos: int | None = facts["bos"]
        self.eos: int | None = facts["eos"]
        self.adds_bos: bool = facts["adds_bos"]
        self.control_tokens: Mapping[str, int] = facts["control_tokens"]
        self._keeper = keeper
        self._closed = False
        self._last = Activity(
            n_slots=self.fingerprint.n_seq_max,
            n_busy=0,
            n_queued=0,
            n_computed=0,
            decode_per_s=0.0,
            n_threads=self.fingerprint.n_threads,
        )

    @property
    def pid(self) -> int:
        """Process id of the worker; another one after a death."""
        return self._keeper.present.pid

    @property
    def activity(self) -> Activity:
        """What it is doing now; requests on their way to it count as queued."""
        worker = self._keeper.present
        idle = replace(
            self._last, n_busy=0, n_queued=0, decode_per_s=0.0, prefill_per_s=0.0
        )
        if self._closed or worker.died_at is not None:
            return idle
        n_asked = worker.n_asked
        answered: queue.SimpleQueue[Message] = queue.SimpleQueue()
        try:
            worker.ask("activity", Message({}), on_end=answered.put)
            message = answered.get(timeout=_ACTIVITY_S)
            self._last = Activity(**message.head["activity"])
        except LocalkitError:
            return idle
        except queue.Empty:
            pass
        n_under_way = self._last.n_busy + self._last.n_queued
        n_queued = self._last.n_queued + max(0, n_asked - n_under_way)
        return replace(self._last, n_queued=n_queued)

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return the token ids of ``text``."""
        head = {"add_special": add_special, "parse_special": parse_special}
        message = self._call("tokenize", Message(head, _encode(text)))
        tokens: list[int] = arrays(message)[0].tolist()
        return tokens

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``."""
        message = with_arrays({"special": special}, token_lists([tokens]))
        return _decode(self._call("detokenize", message).body)

    def see(self, image: Image) -> list[int]:
        """Return the tokens that stand for ``image`` in a prompt."""
        _, (_, pixels) = prompt_out([], [image])
        tokens: list[int] = self._call("see", with_arrays({}, [pixels])).head["tokens"]
        return tokens

    def stream(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        images: Sequence[Image] = (),
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> IsolatedStream:
        """Start an answer to ``prompt``."""
        tokens, lists = prompt_out(prompt, images)
        head = {
            "prompt": tokens,
            "params": asdict(params),
            "serve": serve_out(serve),
        }
        prepared = self._call("prepare", with_arrays(head, lists))
        # Nothing is kept there, so a worker started meanwhile gives this answer too.
        seed = prepared.head["seed"]
        head["params"] = asdict(replace(params, seed=seed))

        def ask(operation: str, on_end: Callable[[Message], None]) -> Call:
            message = with_arrays(head, lists)
            return self._ask(operation, message, cancel=cancel, on_end=on_end)

        return IsolatedStream(ask, n_prompt=len(prompt), seed=seed)

    def score(
        self,
        prompt: Sequence[int],
        continuations: Sequence[Sequence[int]],
        *,
        serve: ServeParams = SERVE,
        cancel: CancelToken | None = None,
    ) -> list[ContinuationScore]:
        """Return the log-likelihood of each continuation after ``prompt``."""
        message = with_arrays(
            {"serve": serve_out(serve)}, token_lists([prompt, *continuations])
        )
        answer = self._call("score", message, cancel=cancel)
        greedy = answer.head["is_greedy"]
        return list(map(ContinuationScore, arrays(answer), greedy))

    def embed(
        self,
        inputs: Sequence[Sequence[int]],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return one vector per input."""
        head = {"pooling": pooling, "normalize": normalize}
        message = with_arrays(head, token_lists(inputs))
        return arrays(self._call("embed", message, cancel=cancel))[0]

    def pair(self, query: str, document: str) -> list[int]:
        """Return the tokens that a reranking model reads for the two."""
        message = self._call("pair", Message({"query": query, "document": document}))
        tokens: list[int] = arrays(message)[0].tolist()
        return tokens

    def logits(
        self,
        tokens: Sequence[int],
        *,
        first: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield next-token logits for positions ``first`` to the end."""
        message = with_arrays({"first": first}, token_lists([tokens]))
        call = self._ask("logits", message, cancel=cancel)
        for block in call.answers:
            call.more()
            yield arrays(block)[0]
        _ = call.answers.result

    def save_state(self, tokens: Sequence[int]) -> bytes:
        """Return the KV cache of ``tokens``."""
        return bytes(
            self._call("save_state", with_arrays({}, token_lists([tokens]))).body
        )

    def restore_state(self, state: bytes) -> int:
        """Put a saved KV cache into a free slot; return its number of tokens."""
        n_tokens: int = self._call("restore_state", Message({}, state)).head["n_tokens"]
        return n_tokens

    def time_prefill(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to compute ``n_tokens`` random tokens (llama-bench pp)."""
        message = Message({"n_tokens": n_tokens, "depth": depth})
        seconds: float = self._call("time_prefill", message).head["seconds"]
        return seconds

    def time_decode(self, n_tokens: int, *, depth: int = 0) -> float:
        """Return seconds to decode ``n_tokens`` one by one (llama-bench tg)."""
        message = Message({"n_tokens": n_tokens, "depth": depth})
        seconds: float = self._call("time_decode", message).head["seconds"]
        return seconds

    def time_streams(self, n_prompt: int, n_gen: int, n_streams: int) -> StreamTimes:
        """Return seconds of both phases, so many texts at once (batched-bench)."""
        head = {"n_prompt": n_prompt, "n_gen": n_gen, "n_streams": n_streams}
        return StreamTimes(*self._call("time_streams", Message(head)).head["seconds"])

    def close(self) -> None:
        """Stop what is running, free the model, end the worker."""
        self._closed = True
        self._keeper.close()

    def _call(
        self, operation: str, message: Message, *, cancel: CancelToken | None = None
    ) -> Message:
        return self._ask(operation, message, cancel=cancel).answers.wait()

    def _ask(
        self,
        operation: str,
        message: Message,
        *,
        cancel: CancelToken | None = None,
        on_end: Callable[[Message], None] = lambda _: None,
    ) -> Call:
        if self._closed:
            msg = f"{self.info.name} was unloaded"
            raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")
        worker = self._keeper.living(cancel)
        return worker.ask(operation, message, cancel=cancel, on_end=on_end)


def _encode(text: str) -> bytes:
    # Half a surrogate pair too: the worker says what is wrong with a text.
    return text.encode("utf-8", "surrogatepass")


def _decode(body: bytes | bytearray | memoryview) -> str:
    return bytes(body).decode("utf-8", "surrogatepass")
