"""One load on its owner thread: weights, context, pace, and what goes with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from localkit.errors import LoadFailed, Unsupported
from localkit.events import CancelToken, OnProgress, no_progress
from localkit.gguf import read_info
from localkit.gguf.checked import check_once
from localkit.runtime import hardware, library, logs
from localkit.runtime.embedding.embedding import Embedder
from localkit.runtime.engine.adapters import Adapters
from localkit.runtime.engine.context import Context
from localkit.runtime.engine.drafting import DraftModel, check_same_vocabulary
from localkit.runtime.engine.scheduler import Scheduler
from localkit.runtime.engine.slots import Slots
from localkit.runtime.loaded import Loaded
from localkit.runtime.memory.buffers import read_memory
from localkit.runtime.pacing import threads
from localkit.runtime.pacing.calibration import calibrate
from localkit.runtime.pacing.governor import ThreadGovernor
from localkit.runtime.pacing.pace import Pace
from localkit.runtime.session import LlamaSession
from localkit.runtime.values import Fingerprint
from localkit.runtime.vision.vision import Projector
from localkit.runtime.vocabulary import Vocabulary
from localkit.runtime.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.gguf.info import ModelInfo
    from localkit.runtime.engine.owner import Owner
    from localkit.runtime.memory.fit import Plan
    from localkit.runtime.params import LoadParams


class AbortSlot:
    """Passes an abort on to the context, once there is one."""

    def __init__(self) -> None:
        """Start without a context."""
        self.abort: Callable[[bool], None] = lambda _: None

    def __call__(self, stop: bool) -> None:
        """Make the decode in progress return soon, or clear that wish."""
        self.abort(stop)


@dataclass(slots=True)
class Loading:
    """What one load was asked for, and what it has made so far."""

    engine: Any
    info: ModelInfo
    params: LoadParams
    plan: Plan
    n_threads: int | None
    """Asked for by the caller or the settings; None: to be measured."""
    owner: Owner
    abort: AbortSlot
    on_progress: OnProgress
    made: list[Loaded] = field(default_factory=list)

    def run(self, cancel: CancelToken) -> LlamaSession:
        """Load everything. Owner thread only.

        Raises:
            LoadFailed: llama.cpp refuses the model, the draft or the projector.
            Unsupported: a projector for an encoder.
            Cancelled: ``cancel`` was raised.
        """
        with logs.captured() as lines:
            model, context, n_threads = self._open(cancel)
        self.abort.abort = context.abort
        pace = self._pace(context, n_threads)
        loaded = _join(self.engine, model, self.owner, context, self.params, pace)
        n_gpu_layers = self.plan.n_gpu_layers
        try:
            if self.params.draft is not None:
                loaded.draft = _load_draft(loaded, self.params, cancel)
            loaded.projector = _load_projector(loaded, self.params, n_gpu_layers)
        except BaseException:
            loaded.free()
            raise
        memory = read_memory(lines, self.info.weights_size)
        if loaded.projector is not None:
            weights = memory.weights + loaded.projector.n_bytes
            memory = replace(memory, weights=weights)
        self.owner.turn(loaded.scheduler)
        self.made.append(loaded)
        return LlamaSession(
            loaded,
            info=self.info,
            fingerprint=_fingerprint(
                self.params, context, pace.n_threads, n_gpu_layers, lines
            ),
            memory=memory,
        )

    def free(self) -> None:
        """Free what was loaded when nobody waits for it any more."""
        for loaded in self.made:
            loaded.free()

    def _open(self, cancel: CancelToken) -> tuple[Any, Context, int]:
        """Return model and context, and the threads that it starts with."""
        model = load_weights(
            self.engine,
            self.info,
            n_gpu_layers=self.plan.n_gpu_layers,
            on_progress=self.on_progress,
            cancel=cancel,
        )
        try:
            n_threads = self.n_threads or threads.choose_threads()
            context = Context(
                self.engine,
                model,
                self.params,
                n_ctx=self.plan.n_ctx,
                n_threads=n_threads,
            )
        except LoadFailed:
            self.engine.llama_model_free(model)
            raise
        return model, context, n_threads

    def _pace(self, context: Context, n_threads: int) -> Pace:
        """Return the pace, with threads measured where nobody named a number."""
        governor = None
        most = threads.usable_cores()
        if self.n_threads is None and most > 1 and context.has_memory:
            measured = calibrate(
                context,
                n_threads,
                info=self.info,
                n_gpu_layers=self.plan.n_gpu_layers,
            )
            governor = ThreadGovernor(measured.seconds_per_token, most=most)
            n_threads = measured.n_threads
        return Pace(n_threads, set_threads=context.set_threads, governor=governor)


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
    check_once(path)
    engine = loaded.engine
    info = read_info(path)
    model = load_weights(
        engine,
        info,
        n_gpu_layers=params.n_gpu_layers or 0,
        on_progress=no_progress,
        cancel=cancel,
    )
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
