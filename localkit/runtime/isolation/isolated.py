"""`Runtime` in a child process: whatever the engine does, the kernel lives on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled, LoadFailed, WorkerDied
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.runtime.isolation.isolated_session import IsolatedSession
from localkit.runtime.isolation.keeper import Keeper
from localkit.runtime.isolation.worker import Worker
from localkit.runtime.isolation.worker_values import load_params_out
from localkit.runtime.isolation.worker_wire import Message

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo
    from localkit.runtime.params import LoadParams


class IsolatedRuntime:
    """Loads each model in a process of its own."""

    def load(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> IsolatedSession:
        """Load the file that ``info`` describes, in a child.

        Raises:
            LoadFailed: llama.cpp refuses the model, or crashed; says how.
            DoesNotFit: estimated memory exceeds what is available.
            Cancelled: ``cancel`` was raised, or Ctrl-C.
        """
        try:
            worker, facts = _load(info, params, on_progress, cancel)
        except WorkerDied as died:
            raise crashed(info, died) from died
        # Another load may find other memory free; callers were told this n_ctx.
        again = dataclasses.replace(params, n_ctx=facts["n_ctx"])

        def start(cancel: CancelToken | None) -> Worker:
            return _load(info, again, no_progress, cancel)[0]

        return IsolatedSession(info, Keeper(info.name, worker, start), facts)


def crashed(info: ModelInfo, died: WorkerDied) -> LoadFailed:
    """Return the error for a model whose load took its process down."""
    msg = f"loading {info.name} crashed the engine: {died}"
    hint = "this process is unharmed; `localkit verify` tells if the file is damaged"
    return LoadFailed(msg, hint=hint)


def _load(
    info: ModelInfo,
    params: LoadParams,
    on_progress: OnProgress,
    cancel: CancelToken | None,
) -> tuple[Worker, dict[str, Any]]:
    head = {
        "path": str(info.path),
        "name": info.name,
        "params": load_params_out(params),
    }
    token = cancel or CancelToken()
    worker = Worker(info.name)
    try:
        # Nothing is lost with a worker that has no model yet: no waiting for it.
        call = worker.ask("load", Message(head), cancel=token, patience_s=0)
        for message in call.answers:
            on_progress(Progress(**message.head["progress"]))
        return worker, call.answers.result.head
    except WorkerDied:
        if token.cancelled:
            msg = f"loading {info.name} was stopped"
            raise Cancelled(msg) from None
        raise
    except BaseException:
        worker.kill()
        raise
