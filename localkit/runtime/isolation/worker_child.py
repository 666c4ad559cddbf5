"""The worker: one model in a process of its own, serving requests over a pipe.

Each request runs on a thread here, as it would in the kernel, so a session behind
the pipe serves what it would serve without: answers side by side, cancels at any
time. The process ends when its input does.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from localkit.errors import LocalkitError, RuntimeFailure
from localkit.gguf import read_info
from localkit.runtime.isolation import worker_wire as wire
from localkit.runtime.isolation.child import end_with_parent, flatten
from localkit.runtime.isolation.worker_calls import CALLS, Request, facts
from localkit.runtime.isolation.worker_values import load_params_in
from localkit.runtime.isolation.worker_wire import Message

if TYPE_CHECKING:
    from localkit.events import Progress
    from localkit.runtime.protocol import Session

# How long answers that a close has cancelled may take to say how they ended.
_LAST_WORDS_S = 2.0


class _Worker:
    """Reads requests, runs each on a thread, writes what they say."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._running: dict[int, tuple[Request, threading.Thread]] = {}
        self._session: Session | None = None

    def serve(self) -> None:
        """Serve until the parent closes our input, by ending or on purpose."""
        writer = threading.Thread(target=self._write, daemon=True)
        writer.start()
        while (message := wire.read(self._requests)) is not None:
            if message.head["op"] == "close":
                self._close()
                self._outbox.put(None)
                writer.join()
                return
            self._take(message)

    def _take(self, message: Message) -> None:
        number = message.head["id"]
        match message.head["op"]:
            case "cancel":
                if number in self._running:
                    self._running[number][0].cancel.cancel()
            case "more":
                if number in self._running:
                    self._running[number][0].room.release()
            case _:
                request = Request(message, self._emitter(number))
                thread = threading.Thread(
                    target=self._run, args=(number, request), daemon=True
                )
                self._running[number] = request, thread
                thread.start()

    def _emitter(self, number: int) -> Any:
        def emit(message: Message) -> None:
            self._say(number, "value", message)

        return emit

    def _run(self, number: int, request: Request) -> None:
        try:
            self._say(number, "end", self._answer(request))
        except LocalkitError as error:
            self._say(number, "error", Message({"error": flatten(error)}))
        except Exception as error:  # a bug here may not leave the caller waiting
            msg = f"the worker failed with {type(error).__name__}: {error}"
            broken = RuntimeFailure(msg, hint="please report this")
            self._say(number, "error", Message({"error": flatten(broken)}))
        finally:
            self._running.pop(number, None)

    def _answer(self, request: Request) -> Message:
        match request.head["op"]:
            case "load":
                return self._load(request)
            case name if self._session is not None:
                return CALLS[name](self._session, request)
        msg = "the worker has no model"
        raise RuntimeFailure(msg)

    def _load(self, request: Request) -> Message:
        from localkit.runtime.llama import LlamaRuntime

        def report(progress: Progress) -> None:
            request.emit(Message({"progress": dataclasses.asdict(progress)}))

        info = read_info(Path(request.head["path"]))
        self._session = LlamaRuntime().load(
            dataclasses.replace(info, name=request.head["name"]),
            load_params_in(request.head["params"]),
            on_progress=report,
            cancel=request.cancel,
        )
        return Message(facts(self._session))

    def _close(self) -> None:
        """Stop what runs, and let each say how it ended."""
        if self._session is not None:
            self._session.close()
        for request, thread in list(self._running.values()):
            request.cancel.cancel()
            thread.join(_LAST_WORDS_S)

    def _say(self, number: int, kind: str, message: Message) -> None:
        head = {"id": number, "kind": kind, **message.head}
        self._outbox.put(Message(head, message.body))

    def _write(self) -> None:
        while (message := self._outbox.get()) is not None:
            try:
                wire.write(self._answers, message)
            except RuntimeFailure as error:  # too large; nothing of it was written
                head = {"id": message.head["id"], "kind": "error"}
                wire.write(self._answers, Message({**head, "error": flatten(error)}))
            if self._outbox.empty():
                self._answers.flush()
        self._answers.flush()


def main() -> None:
    """Serve one model; the process's entry point."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    end_with_parent()
    # Native code may print to fd 1; keep that out of the conversation.
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    _Worker(sys.stdin.buffer, answers).serve()
    # Threads may be inside the engine, which no orderly end would wait for.
    os._exit(0)


if __name__ == "__main__":
    main()
