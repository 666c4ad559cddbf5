"""What a worker can be asked, by name: the calls of a `Session`."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from localkit.events import CancelToken
from localkit.runtime.isolation.worker_values import (
    image_in,
    memory_out,
    prompt_in,
    sampling_in,
    serve_in,
)
from localkit.runtime.isolation.worker_wire import Message, arrays, with_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.protocol import Session, Stream

BLOCKS_AHEAD: Final = 4
"""Blocks of logits computed before the reader has used the first."""


class Request:
    """One request as the worker's threads see it."""

    def __init__(self, message: Message, emit: Callable[[Message], None]) -> None:
        """Take what was asked, and the way to answer before the end."""
        self.head = message.head
        self.message = message
        self.emit = emit
        self.cancel = CancelToken()
        self.room = threading.Semaphore(BLOCKS_AHEAD)
        if message.head.get("cancelled"):
            self.cancel.cancel()

    def lists(self) -> list[list[int]]:
        """Return the lists of tokens that came along."""
        return [array.tolist() for array in arrays(self.message)]


def facts(session: Session) -> dict[str, Any]:
    """Return what a session says about itself and never changes."""
    return {
        "n_ctx": session.n_ctx,
        "n_vocab": session.n_vocab,
        "bos": session.bos,
        "eos": session.eos,
        "adds_bos": session.adds_bos,
        "control_tokens": dict(session.control_tokens),
        "fingerprint": asdict(session.fingerprint),
        "memory": memory_out(session.memory),
    }


def _tokenize(session: Session, request: Request) -> Message:
    # As bytes with surrogates: the text is what a user wrote.
    text = bytes(request.message.body).decode("utf-8", "surrogatepass")
    tokens = session.tokenize(
        text,
        add_special=request.head["add_special"],
        parse_special=request.head["parse_special"],
    )
    return with_arrays({}, [np.array(tokens, np.int64)])


def _detokenize(session: Session, request: Request) -> Message:
    (tokens,) = request.lists()
    text = session.detokenize(tokens, special=request.head["special"])
    return Message({}, text.encode("utf-8", "surrogatepass"))


def _see(session: Session, request: Request) -> Message:
    (pixels,) = arrays(request.message)
    return Message({"tokens": session.see(image_in(pixels))})


def _asked(session: Session, request: Request) -> Stream:
    prompt, images = prompt_in(request.head["prompt"], arrays(request.message))
    return session.stream(
        prompt,
        sampling_in(request.head["params"]),
        images=images,
        serve=serve_in(request.head["serve"]),
        cancel=request.cancel,
    )


def _prepare(session: Session, request: Request) -> Message:
    """Check that an answer can be given; nothing is computed, nothing kept."""
    return Message({"seed": _asked(session, request).generation.seed})


def _stream(session: Session, request: Request) -> Message:
    stream = _asked(session, request)
    for piece in stream:
        request.emit(Message({"piece": piece}))
    return Message({"generation": asdict(stream.generation)})


def _answer(session: Session, request: Request) -> Message:
    """Give an answer whose pieces nobody reads."""
    return Message({"generation": asdict(_asked(session, request).wait())})


def _score(session: Session, request: Request) -> Message:
    prompt, *continuations = request.lists()
    scores = session.score(
        prompt,
        continuations,
        serve=serve_in(request.head["serve"]),
        cancel=request.cancel,
    )
    greedy = [score.is_greedy for score in scores]
    return with_arrays({"is_greedy": greedy}, [score.logprobs for score in scores])


def _embed(session: Session, request: Request) -> Message:
    vectors = session.embed(
        request.lists(),
        pooling=request.head["pooling"],
        normalize=request.head["normalize"],
        cancel=request.cancel,
    )
    return with_arrays({}, [vectors])


def _pair(session: Session, request: Request) -> Message:
    tokens = session.pair(request.head["query"], request.head["document"])
    return with_arrays({}, [np.array(tokens, np.int64)])


def _logits(session: Session, request: Request) -> Message:
    (tokens,) = request.lists()
    first = request.head["first"]
    for block in session.logits(tokens, first=first, cancel=request.cancel):
        while not request.room.acquire(timeout=0.05):
            if request.cancel.cancelled:
                break
        request.emit(with_arrays({}, [block]))
    return Message({})


def _save_state(session: Session, request: Request) -> Message:
    (tokens,) = request.lists()
    return Message({}, session.save_state(tokens))


def _restore_state(session: Session, request: Request) -> Message:
    return Message({"n_tokens": session.restore_state(bytes(request.message.body))})


def _activity(session: Session, _: Request) -> Message:
    return Message({"activity": asdict(session.activity)})


def _time_prefill(session: Session, request: Request) -> Message:
    n_tokens, depth = request.head["n_tokens"], request.head["depth"]
    return Message({"seconds": session.time_prefill(n_tokens, depth=depth)})


def _time_decode(session: Session, request: Request) -> Message:
    n_tokens, depth = request.head["n_tokens"], request.head["depth"]
    return Message({"seconds": session.time_decode(n_tokens, depth=depth)})


def _time_streams(session: Session, request: Request) -> Message:
    head = request.head
    times = session.time_streams(head["n_prompt"], head["n_gen"], head["n_streams"])
    return Message({"seconds": times})


CALLS: Final = {
    "tokenize": _tokenize,
    "detokenize": _detokenize,
    "see": _see,
    "prepare": _prepare,
    "stream": _stream,
    "answer": _answer,
    "score": _score,
    "embed": _embed,
    "pair": _pair,
    "logits": _logits,
    "save_state": _save_state,
    "restore_state": _restore_state,
    "activity": _activity,
    "time_prefill": _time_prefill,
    "time_decode": _time_decode,
    "time_streams": _time_streams,
}
