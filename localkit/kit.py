"""Kit: the store, the runtime and chat, joined.

What magics, terminal, evals and server talk to. One process has one default
kit; tests and programs that need another make their own.
"""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

from localkit.config import Settings
from localkit.config import settings as read_settings
from localkit.errors import DoesNotFit
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.model import Model
from localkit.runtime.protocol import LoadParams, Runtime
from localkit.store import ModelRef, Store

if TYPE_CHECKING:
    from localkit.runtime.protocol import Session
    from localkit.store import AddReceipt, StoredModel


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
        self._runtime = runtime
        self._resident: dict[tuple[str, LoadParams], Model] = {}
        # Two cells may ask for the same model at once; it is loaded once.
        self._lock = threading.RLock()

    @property
    def runtime(self) -> Runtime:
        """What loads models; llama.cpp unless another was given."""
        if self._runtime is None:
            from localkit.runtime.llama import LlamaRuntime

            self._runtime = LlamaRuntime()
        return self._runtime

    def load(
        self,
        ref: str | ModelRef | StoredModel,
        params: LoadParams | None = None,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> Model:
        """Return the model, loading it unless it is resident with these params.

        When it does not fit beside the resident ones, those used longest ago
        are unloaded until it does.

        Raises:
            ModelNotFound: no such ref; carries the nearest names.
            BlobCorrupt: the weights changed since they were added.
            DoesNotFit: memory would not hold it, alone either.
            LoadFailed: the engine refuses it.
        """
        stored = self.store.resolve(ref) if isinstance(ref, str | ModelRef) else ref
        key = (stored.weights_digest, params or LoadParams())
        with self._lock:
            model = self._resident.pop(key, None)
            if model is None or model.closed:
                session = self._load_session(stored, key[1], on_progress, cancel)
                model = Model(stored, session)
            self._resident[key] = model  # last in the order of use
            return model

    def _load_session(
        self,
        stored: StoredModel,
        params: LoadParams,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> Session:
        while True:
            try:
                return self.runtime.load(
                    stored.info, params, on_progress=on_progress, cancel=cancel
                )
            except DoesNotFit:
                if not self._resident:
                    raise
                oldest = next(iter(self._resident))
                self._resident.pop(oldest).close()

    def resident(self) -> list[Model]:
        """Return the loaded models, the one used longest ago first."""
        with self._lock:
            return [model for model in self._resident.values() if not model.closed]

    def unload(self, ref: str | ModelRef | None = None) -> list[Model]:
        """Free every resident session of ``ref``, or of all; return what was freed."""
        digest = None if ref is None else self.store.resolve(ref).weights_digest
        with self._lock:
            keys = [key for key in self._resident if digest in (None, key[0])]
            models = [self._resident.pop(key) for key in keys]
        for model in models:
            model.close()
        return models

    def quantize(
        self,
        ref: str | ModelRef,
        quant: str,
        *,
        name: str | ModelRef | None = None,
        allow_requantize: bool = False,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> AddReceipt:
        """Make a file of another quant and put it beside its source.

        The new model's ref is ``name``, by default the source's with the quant
        as its tag.

        Raises:
            ModelNotFound: no such ref.
            QuantizeFailed: unknown file type, or a quantized source without
                ``allow_requantize``.
            DiskFull: no room for the new file; nothing is left behind.
        """
        from localkit.runtime.quantize import quantize_file

        source = self.store.resolve(ref)
        target = name or source.ref.with_tag(quant.lower())
        with self.store.staging(".gguf") as staged:
            quantize_file(
                source.weights,
                staged,
                quant,
                name=str(source.ref),
                allow_requantize=allow_requantize,
                on_progress=on_progress,
                cancel=cancel,
            )
            return self.store.adopt(
                staged, target, on_progress=on_progress, cancel=cancel
            )

    def close(self) -> None:
        """Free every resident model."""
        self.unload()


_default: Kit | None = None
_default_lock = threading.Lock()


def default_kit() -> Kit:
    """Return the process's kit, made on first use and closed at exit."""
    global _default
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


def load(
    ref: str,
    *,
    n_ctx: int | None = None,
    n_threads: int | None = None,
    n_gpu_layers: int | None = None,
    kv_type: str = "f16",
) -> Model:
    """Load a model of the default kit's store: ``localkit.load("smollm2")``.

    Args:
        ref: A model ref, as ``localkit list`` shows it.
        n_ctx: Context length in tokens; default: training context, at most 4096.
        n_threads: Engine threads; default: chosen from what the machine has free.
        n_gpu_layers: Layers on a GPU; default: as many as fit; -1: all.
        kv_type: Type of the KV cache: ``f16``, ``q8_0``, ``q4_0``, …

    Raises:
        ModelNotFound: no such ref; carries the nearest names.
        DoesNotFit: memory would not hold it.
        LoadFailed: the engine refuses it.
    """
    params = LoadParams(
        n_ctx=n_ctx, n_threads=n_threads, n_gpu_layers=n_gpu_layers, kv_type=kv_type
    )
    return default_kit().load(ref, params)
