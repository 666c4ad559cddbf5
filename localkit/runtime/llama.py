"""`Runtime` over llama.cpp: fit, load, and describe what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localkit.config import settings
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf.checked import check_once
from localkit.runtime import library
from localkit.runtime.engine.context import check_kv_type
from localkit.runtime.engine.owner import Owner
from localkit.runtime.isolation import forks
from localkit.runtime.loading import AbortSlot, Loading
from localkit.runtime.memory.fit import plan_load

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo
    from localkit.runtime.engine.reading import Reading
    from localkit.runtime.params import LoadParams
    from localkit.runtime.session import LlamaSession


class LlamaRuntime:
    """Loads models through llama-cpp-python's low-level bindings."""

    def load(
        self,
        info: ModelInfo,
        params: LoadParams,
        *,
        on_progress: OnProgress = no_progress,
        cancel: CancelToken | None = None,
    ) -> LlamaSession:
        """Load the file that ``info`` describes.

        Raises:
            GGUFError: the file would abort llama.cpp.
            DoesNotFit: the estimate exceeds the memory available.
            LoadFailed: llama.cpp refuses the model or the projector; says why.
            Cancelled: ``cancel`` was raised, or Ctrl-C.
        """
        forks.check()
        check_once(info.path)
        check_kv_type(params.kv_type)
        engine = library.library()
        plan = plan_load(info, params)
        plan.check()
        abort = AbortSlot()
        owner = Owner(info.name, abort=abort, rest=library.release_threads)
        loading = Loading(
            engine=engine,
            info=info,
            params=params,
            plan=plan,
            n_threads=params.n_threads or settings().n_threads,
            owner=owner,
            abort=abort,
            on_progress=on_progress,
        )
        token = cancel or CancelToken()
        reading: Reading[LlamaSession, None] = owner.start(
            lambda _: loading.run(token), cancel=token
        )
        try:
            # A context is made in one call, 0.1 s and more, that nothing stops.
            return reading.wait(leave=True)
        except BaseException:
            owner.close(loading.free, wait=False)
            raise
