"""`Runtime` over llama.cpp: fit, load, and describe what was loaded."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localkit.config import settings
from localkit.errors import Cancelled, LoadFailed, Unsupported
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf import read_info
from localkit.gguf.preflight import check
from localkit.runtime import hardware, library, logs
from localkit.runtime.embedding.embedding import Embedder
from localkit.runtime.engine.adapters import Adapters
from localkit.runtime.engine.context import Context, check_kv_type
from localkit.runtime.engine.drafting import DraftModel, check_same_vocabulary
from localkit.runtime.engine.owner import Owner
from localkit.runtime.engine.scheduler import Scheduler
from localkit.runtime.engine.slots import Slots
from localkit.runtime.isolation import forks
from localkit.runtime.loaded import Loaded
from localkit.runtime.memory.buffers import read_memory
from localkit.runtime.memory.fit import plan_load
from localkit.runtime.pacing import threads
from localkit.runtime.pacing.calibration import calibrate
from localkit.runtime.pacing.governor import ThreadGovernor
from localkit.runtime.pacing.pace import Pace
from localkit.runtime.session import LlamaSession
from localkit.runtime.values import Fingerprint
from localkit.runtime.vision.vision import Projector
from localkit.runtime.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.engine.reading import Reading
    from localkit.runtime.params import LoadParams


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
        check(info.path)
        check_kv_type(params.kv_type)
        engine = library.library()
        plan = plan_load(info, params)
        plan.check()
        n_ctx, n_gpu_layers = plan.n_ctx, plan.n_gpu_layers
        asked_threads = params.n_threads or settings().n_threads
        slot = _AbortSlot()
        made: list[Loaded] = []
        owner = Owner(info.name, abort=slot, rest=library.release_threads)

        def load(token: CancelToken) -> LlamaSession:
            with logs.captured() as lines:
                model = _load_weights(engine, info, n_gpu_layers, on_progress, token)
                try:
                    n_threads = asked_threads or threads.choose_threads()
                    context = Context(
                        engine, model, params, n_ctx=n_ctx, n_threads=n_threads
                    )
                except LoadFailed:
                    engine.llama_model_free(model)
                    raise
            slot.abort = context.abort
            governor = None
            most = threads.usable_cores()
            if asked_threads is None and most > 1 and context.has_memory:
                measured = calibrate(
                    context, n_threads, info=info, n_gpu_layers=n_gpu_layers
                )
                governor = ThreadGovernor(measured.seconds_per_token, most=most)
                n_threads = measured.n_threads
            pace = Pace(n_threads, set_threads=context.set_threads, governor=governor)
            loaded = _join(engine, model, owner, context, params, pace)
            try:
                if params.draft is not None:
                    loaded.draft = _load_draft(loaded, params, token)
                loaded.projector = _load_projector(loaded, params, n_gpu_layers)
            except BaseException:
                loaded.free()
                raise
            memory = read_memory(lines, info.weights_size)
            if loaded.projector is not None:
                weights = memory.weights + loaded.projector.n_bytes
                memory = replace(memory, weights=weights)
            owner.turn(loaded.scheduler)
            made.append(loaded)
            return LlamaSession(
                loaded,
                info=info,
                fingerprint=_fingerprint(
                    params, context, n_threads, n_gpu_layers, lines
                ),
                memory=memory,
            )

        token = cancel or CancelToken()
        reading: Reading[LlamaSession, None] = owner.start(
            lambda _: load(token), cancel=token
        )
        try:
            # A context is made in one call, 0.1 s and more, that nothing stops.
            return reading.wait(leave=True)
        except BaseException:
            owner.close(lambda: _free(made), wait=False)
            raise


def _join(
    engine: Any,
    model: Any,
    owner: Owner,
    context: Context,
    params: LoadParams,
    pace: Pace,
) -> Loaded:
    """Put together what one loaded model consists of."""
    cut = not (
        engine.llama_model_is_recurrent(model) or engine.llama_model_is_hybrid(model)
    )
    slots = Slots(
        context, params.n_seq_max, n_swa=engine.llama_model_n_swa(model), cut=cut
    )
    return Loaded(
        engine=engine,
        model=model,
        owner=owner,
        context=context,
        scheduler=Scheduler(
            context,
            slots,
            adapt=Adapters(engine, model, context).put_on,
            pace=pace,
        ),
        vocabulary=Vocabulary(engine, model),
        embedder=Embedder(
            engine,
            model,
            n_ctx=context.n_ctx,
            n_threads=pace.n_threads,
            abort_flag=context.abort_flag,
        ),
        pace=pace,
        cut=cut,
    )


def _load_draft(loaded: Loaded, params: LoadParams, cancel: CancelToken) -> DraftModel:
    """Load the small model beside the large one, with as many threads.

    Raises:
        LoadFailed: it cannot be loaded, or has another vocabulary.
    """
    path = params.draft
    if path is None:
        msg = "no draft model was named"
        raise LoadFailed(msg)
    check(path)
    engine = loaded.engine
    info = read_info(path)
    model = _load_weights(engine, info, params.n_gpu_layers or 0, no_progress, cancel)
    try:
        check_same_vocabulary(loaded.vocabulary, Vocabulary(engine, model))
        context = Context(
            engine,
            model,
            replace(params, n_seq_max=1),
            n_ctx=loaded.context.n_ctx,
            n_threads=loaded.pace.n_threads,
            abort_flag=loaded.context.abort_flag,
        )
    except LoadFailed:
        engine.llama_model_free(model)
        raise
    return DraftModel(engine, model, context)


def _load_projector(
    loaded: Loaded, params: LoadParams, n_gpu_layers: int
) -> Projector | None:
    if params.projector is None:
        return None
    if not loaded.context.has_memory:
        msg = "a projector was given for an encoder, which cannot look at images"
        raise Unsupported(msg, hint="load it without projector=…")
    return Projector(
        loaded.engine,
        loaded.model,
        loaded.context,
        params.projector,
        n_threads=loaded.pace.n_threads,
        use_gpu=n_gpu_layers != 0,
    )


def _free(made: list[Loaded]) -> None:
    """Free what was loaded when nobody waits for it any more."""
    for loaded in made:
        loaded.free()


class _AbortSlot:
    """Passes an abort on to the context, once there is one."""

    def __init__(self) -> None:
        self.abort: Callable[[bool], None] = lambda _: None

    def __call__(self, stop: bool) -> None:
        self.abort(stop)


def _load_weights(
    engine: Any,
    info: ModelInfo,
    n_gpu_layers: int,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Any:
    native = engine.llama_model_default_params()
    native.n_gpu_layers = n_gpu_layers

    @engine.llama_progress_callback  # type: ignore[untyped-decorator]
    def report(fraction: float, _data: Any) -> bool:
        on_progress(Progress(f"loading {info.name}", fraction, 1.0))
        return not cancel.cancelled

    native.progress_callback = report
    with logs.captured() as lines:
        model = engine.llama_model_load_from_file(str(info.path).encode(), native)
    if model:
        return model
    if cancel.cancelled:
        msg = f"loading {info.name} was stopped"
        raise Cancelled(msg)
    raise _refusal(info, logs.errors(lines))


def _refusal(info: ModelInfo, reasons: list[str]) -> LoadFailed:
    engine = library.version()
    if any("unknown model architecture" in reason for reason in reasons):
        msg = f"architecture '{info.architecture}' is unknown to {engine}"
        return LoadFailed(msg, hint="a newer llama-cpp-python may know it")
    told = reasons[0] if reasons else "no reason given"
    msg = f"{engine} refused {info.path.name}: {told}"
    return LoadFailed(msg, hint="`localkit verify` tells whether the file is damaged")


def _fingerprint(
    params: LoadParams,
    context: Context,
    n_threads: int,
    n_gpu_layers: int,
    lines: list[tuple[int, str]],
) -> Fingerprint:
    found = hardware.devices()
    device = next((d for d in found if d.is_gpu and n_gpu_layers), None) or next(
        d for d in found if d.kind == "CPU"
    )
    return Fingerprint(
        engine=library.version(),
        backend=device.backend,
        device=device.description,
        features=library.features(),
        n_ctx=context.n_ctx,
        n_batch=context.n_batch,
        n_ubatch=context.n_ubatch,
        n_seq_max=params.n_seq_max,
        n_threads=n_threads,
        n_gpu_layers=n_gpu_layers,
        kv_type=params.kv_type,
        flash_attn=_flash_attention(params, lines),
    )


def _flash_attention(params: LoadParams, lines: list[tuple[int, str]]) -> str:
    """Return what llama.cpp decided, which for ``auto`` only its log tells."""
    if params.flash_attn is not None:
        return "on" if params.flash_attn else "off"
    text = "".join(line for _, line in lines)
    decided = re.search(r"Flash Attention (enabled|not supported)", text)
    if decided is None:
        return "auto"
    return "on" if decided[1] == "enabled" else "off"
