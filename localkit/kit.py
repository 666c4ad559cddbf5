"""Kit: the store, the runtime and chat, joined.

What magics, terminal, evals and server talk to. One process has one default
kit; tests and programs that need another make their own.
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from localkit.amounts import parse_duration
from localkit.asking.defaults import load_defaults
from localkit.config import Settings
from localkit.config import settings as read_settings
from localkit.errors import ModelNotFound
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.making import imatrix, quantize
from localkit.model import Model
from localkit.runtime.isolation import forks
from localkit.runtime.memory.context_length import exactly, wish
from localkit.runtime.pool.making_pool import make_pool
from localkit.runtime.pool.pooled import PooledSession
from localkit.runtime.pool.resident import Ask
from localkit.runtime.protocol import LoadParams, Runtime
from localkit.store import ModelRef, Store
from localkit.store.pins import Pins
from localkit.store.ref import as_ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localkit.choosing.pulled import Pulled
    from localkit.choosing.weighing import Weighing
    from localkit.history.database import History
    from localkit.runtime.pool.finished import FinishedRequest
    from localkit.runtime.pool.pool import Pool
    from localkit.runtime.pool.standing import Standing
    from localkit.store import StoredModel

    Key = tuple[str, str, LoadParams, bool]
    """Model ref and its manifest's digest, digest of the weights, params, isolate."""


class Kit:
    """A model store, a runtime, and the models that are loaded."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        """Open the store that ``settings`` name; nothing is loaded yet."""
        self.settings = settings or read_settings()
        self.store = Store(self.settings.models_dir)
        self.pins = Pins(self.store.layout, self.settings.lock)
        self._runtime = runtime
        # A runtime that was given is trusted as it is.
        self._proves = runtime is None
        self._pool: Pool | None = None
        self._models: dict[Key, tuple[Model, PooledSession]] = {}
        self._history: dict[int, History] = {}
        # Protects the three above. Two cells may ask for the same model at once.
        self._lock = threading.Lock()

    @property
    def runtime(self) -> Runtime:
        """What loads models; llama.cpp unless another was given."""
        if self._runtime is None:
            from localkit.runtime.llama import LlamaRuntime

            self._runtime = LlamaRuntime()
        return self._runtime

    @property
    def history(self) -> History:
        """Chats, answers, ratings and presets; opened at the first use.

        Raises:
            HistoryInvalid: its file is damaged, or a newer localkit wrote it.
        """
        from localkit.history.database import History

        # A process that was forked from this one must not share the connection.
        process = os.getpid()
        with self._lock:
            if process not in self._history:
                self._history[process] = History(
                    self.settings.history_db, caches=self.settings.cache_answers
                )
            return self._history[process]

    def resolve(
        self,
        ref: str | ModelRef | StoredModel,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> StoredModel:
        """Return a model that may be loaded: as stored, and as ``localkit.lock`` pins.

        Without a tag, the tag that is pinned is meant; else as `Store.resolve`.

        Raises:
            ModelNotFound: no such ref; says how to get what is pinned.
            LockDrift: the ref no longer stands for what is pinned.
            BlobCorrupt: bytes changed since they were stored.
        """
        if isinstance(ref, str | ModelRef):
            ref = self.pins.meant(as_ref(ref))
            try:
                stored = self.store.resolve(ref, on_progress=on_progress, cancel=cancel)
            except ModelNotFound as error:
                hint = self.pins.repair(ref)
                if not hint:
                    raise
                raise ModelNotFound(
                    str(ref), nearest=error.nearest, hint=hint
                ) from error
        else:
            stored = ref
        self.pins.hold(stored, on_progress=on_progress, cancel=cancel)
        return stored

    def load(
        self,
        ref: str | ModelRef | StoredModel,
        params: LoadParams | None = None,
        *,
        keep_alive: str | float | None = None,
        isolate: bool = False,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Model:
        """Return the model, loading it unless it is resident with these params.

        A resident one with a longer context will do. Where memory is short, models
        that nobody is using are unloaded, the one used longest ago first.

        The context length is rounded up to a bucket. `keep_alive` and `isolate` are
        explained at `localkit.load`.

        Raises:
            ModelNotFound: no such ref; carries the nearest names.
            LockDrift: the ref no longer stands for what ``localkit.lock`` pins.
            BlobCorrupt: the weights changed since they were added.
            DoesNotFit: memory would not hold it, alone either.
            Overloaded: too many callers wait for models to be loaded already.
            LoadFailed: the engine refuses it.
        """
        forks.check()
        stored = self.resolve(ref, on_progress=on_progress, cancel=cancel)
        asked = load_defaults(stored, params or LoadParams())
        seconds = None if keep_alive is None else parse_duration(keep_alive)
        with self._lock:
            model, session = self._model(stored, asked, isolate=isolate)
        if seconds is not None:
            session.keep(seconds)
        session.load(on_progress=on_progress, cancel=cancel)
        model.asker.notes = self.pins.notes(session.fingerprint.engine)
        return model

    def load_apart(
        self,
        stored: StoredModel,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> PooledSession:
        """Load a session for a measurement: exactly so, nobody else's, until closed.

        Raises:
            LockDrift: the ref no longer stands for what ``localkit.lock`` pins.
        """
        self.pins.hold(stored, on_progress=on_progress, cancel=cancel)
        ask = self._ask(stored, params, apart=True)
        with self._lock:
            session = PooledSession(self._open_pool(), ask)
        session.hold(on_progress=on_progress, cancel=cancel)
        return session

    def resident(self) -> list[Model]:
        """Return the loaded models, the one used longest ago first."""
        with self._lock:
            pool, known = self._pool, list(self._models.values())
        if pool is None:
            return []
        models = {session.holder: model for model, session in known}
        return [models[holder] for holder in pool.one_each(models)]

    def ps(self) -> list[Standing]:
        """Return what is loaded, loading, waited for or lately unloaded."""
        with self._lock:
            pool = self._pool
        return [] if pool is None else pool.standing()

    def requests(self) -> list[FinishedRequest]:
        """Return the answers that ended lately, the latest first: counts and times.

        ``pandas.DataFrame(kit.requests())`` makes a table of them. No text is kept.
        """
        with self._lock:
            pool = self._pool
        return [] if pool is None else pool.requests.latest()

    def unload(self, ref: str | ModelRef | None = None) -> list[Model]:
        """Free every model of ``ref``, or all, for good; return what was freed.

        Answers in progress stop; a measurement's own session stays.
        """
        digest = None
        if ref is not None:
            digest = self.store.resolve(self.pins.meant(as_ref(ref))).weights_digest
        freed = [
            model
            for model in self.resident()
            if digest in (None, model.stored.weights_digest)
        ]
        with self._lock:
            pool = self._pool
            keys = [key for key in self._models if digest in (None, key[1])]
            ending = [self._models.pop(key)[1] for key in keys]
        for session in ending:
            session.close()
        if pool is not None:
            pool.unload(digest)
        return freed

    def _model(
        self, stored: StoredModel, params: LoadParams, *, isolate: bool
    ) -> tuple[Model, PooledSession]:
        # With the manifest: another template or system message is another model.
        key = f"{stored.ref}@{stored.digest}", stored.weights_digest, params, isolate
        known = self._models.get(key)
        if known is None or known[1].closed:
            ask = self._ask(stored, params, isolate=isolate)
            session = PooledSession(self._open_pool(), ask)
            known = Model(stored, session), session
            self._models[key] = known
        return known

    def _ask(
        self,
        stored: StoredModel,
        params: LoadParams,
        *,
        isolate: bool = False,
        apart: bool = False,
    ) -> Ask:
        choose = exactly if apart else wish
        return Ask(
            name=str(stored.ref),
            digest=stored.weights_digest,
            info=stored.info,
            params=params,
            wish=choose(
                params.n_ctx,
                n_ctx_train=stored.info.n_ctx_train,
                default=self.settings.context_length,
            ),
            isolate=isolate,
            apart=apart,
        )

    def _open_pool(self) -> Pool:
        """Return the pool, made on first use. Lock held."""
        if self._pool is None:
            self._pool = make_pool(
                lambda: self.runtime, self.settings, proves=self._proves
            )
        return self._pool

    def pull(
        self,
        source: str,
        ref: str | ModelRef | None = None,
        *,
        n_ctx: int | None = None,
        insecure: bool = False,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Pulled:
        """Bring the model that ``source`` means into the store.

        Where it names no tag or quant, the largest that fits is taken, and the
        receipt says what was weighed; see `localkit.choosing.choose`.

        Raises:
            RefError: a text breaks the grammar of a ref.
            SourceNotFound: there is no such source; says what there is.
            RegistryError: a registry or hub refuses, fails or cannot be reached.
            DigestMismatch: the bytes that came are not those that were asked for.
            GGUFError: the file is no model that may be loaded.
            StoreError: no quant fits; or the store may not be written.
            Cancelled: ``cancel`` was raised; the store is as it was.
        """
        from localkit.choosing.pulling import pull

        return pull(
            self.store,
            source,
            ref,
            n_ctx=n_ctx,
            insecure=insecure,
            on_progress=on_progress,
            cancel=cancel,
        )

    def quants(self, source: str, *, n_ctx: int | None = None) -> Weighing:
        """Weigh every quant of what ``source`` means, without taking one.

        Raises:
            SourceNotFound: there is no such source.
            RegistryError: a registry or hub refuses, fails or cannot be reached.
        """
        from localkit.choosing.quants import quants

        return quants(self.store, source, n_ctx=n_ctx)

    quantize = quantize
    imatrix = imatrix

    def close(self) -> None:
        """Free every model; what is being answered or loaded stops."""
        if forks.is_child():
            return
        with self._lock:
            pool, self._pool = self._pool, None
            history = self._history.pop(os.getpid(), None)
            self._models.clear()
        if pool is not None:
            pool.close()
        if history is not None:
            history.close()


_default: Kit | None = None
_default_lock = threading.Lock()
# Another kit that a command works with.
_instead: ContextVar[Kit | None] = ContextVar("kit", default=None)


def default_kit() -> Kit:
    """Return the process's kit, made on first use and closed at exit."""
    global _default
    instead = _instead.get()
    if instead is not None:
        return instead
    with _default_lock:
        if _default is None:
            _default = Kit()
            # llama.cpp must not be torn down under a running thread.
            atexit.register(_close_default)
        return _default


def set_default(kit: Kit | None) -> None:
    """Make ``kit`` the process's kit; None forgets the present one."""
    global _default
    with _default_lock:
        _default = kit


def _close_default() -> None:
    if _default is not None:
        _default.close()


@contextmanager
def using(kit: Kit) -> Iterator[Kit]:
    """Make ``kit`` the default for the length of a with block, in this thread."""
    token = _instead.set(kit)
    try:
        yield kit
    finally:
        _instead.reset(token)


def load(
    ref: str,
    *,
    n_ctx: int | None = None,
    n_threads: int | None = None,
    n_gpu_layers: int | None = None,
    kv_type: str = "f16",
    draft: str | None = None,
    projector: str | Path | None = None,
    keep_alive: str | float | None = None,
    isolate: bool = False,
) -> Model:
    """Load a model of the default kit's store: ``localkit.load("smollm2")``.

    Args:
        ref: A model ref, as ``localkit list`` shows it.
        n_ctx: Context length in tokens; default: what the model's recipe says, else
            the training context, at most 4096.
        n_threads: Engine threads; default: chosen from what the machine has free.
        n_gpu_layers: Layers on a GPU; default: as many as fit; -1: all.
        kv_type: Type of the KV cache: ``f16``, ``q8_0``, ``q4_0``, …
        draft: Ref of a smaller model of the same vocabulary, for
            ``speculate="draft"``; default: the one that is a part of the model.
        projector: GGUF that turns images into embeddings for it; default: the one
            that the model's manifest names.
        keep_alive: How long it stays loaded unused: ``"5m"``, seconds, 0, or -1 for
            ever; default: the settings', five minutes. It is loaded again when used.
        isolate: Run it in a child process, which alone dies if it crashes.

    Raises:
        ModelNotFound: no such ref; carries the nearest names.
        LockDrift: the ref no longer stands for what ``localkit.lock`` pins.
        DoesNotFit: memory would not hold it.
        LoadFailed: the engine refuses it.
    """
    kit = default_kit()
    params = LoadParams(
        n_ctx=n_ctx,
        n_threads=n_threads,
        n_gpu_layers=n_gpu_layers,
        kv_type=kv_type,
        draft=None if draft is None else kit.resolve(draft).weights,
        projector=None if projector is None else Path(projector),
    )
    return kit.load(ref, params, keep_alive=keep_alive, isolate=isolate)
