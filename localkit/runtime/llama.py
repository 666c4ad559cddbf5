"""`Runtime` over llama.cpp: fit, load, and describe what was loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localkit.config import settings
from localkit.errors import Cancelled, DoesNotFit, LoadFailed
from localkit.events import CancelToken, OnProgress, Progress, no_progress
from localkit.gguf.estimate import context_that_fits, estimate_memory
from localkit.gguf.preflight import check
from localkit.runtime import hardware, library, logs, threads
from localkit.runtime.calibration import fastest_threads
from localkit.runtime.context import Context, check_kv_type
from localkit.runtime.owner import Owner
from localkit.runtime.protocol import Fingerprint, LoadParams, MemoryUse
from localkit.runtime.session import LlamaSession
from localkit.runtime.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.gguf.info import ModelInfo

_BUFFER = re.compile(
    r"(\S+)\s+(model|KV|RS|compute|output) buffer size =\s*([\d.]+) MiB"
)


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
            LoadFailed: llama.cpp refuses the model; says why.
            Cancelled: ``cancel`` was raised, or Ctrl-C.
        """
        check(info.path)
        check_kv_type(params.kv_type)
        engine = library.library()
        n_ctx = params.n_ctx or _default_context(info)
        _refuse_what_does_not_fit(info, params, n_ctx)
        n_gpu_layers = _choose_gpu_layers(info, params, n_ctx)
        asked_threads = params.n_threads or settings().n_threads
        slot = _AbortSlot()
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
            if asked_threads is None and n_threads > 1:
                n_threads = fastest_threads(context, n_threads)
            return LlamaSession(
                engine=engine,
                owner=owner,
                context=context,
                vocabulary=Vocabulary(engine, model),
                free_model=lambda: engine.llama_model_free(model),
                info=info,
                fingerprint=_fingerprint(
                    params, context, n_threads, n_gpu_layers, lines
                ),
                memory=_memory(lines, info),
            )

        try:
            return owner.call(load, cancel=cancel)
        except BaseException:
            owner.close(lambda: None)
            raise


class _AbortSlot:
    """Passes an abort on to the context, once there is one."""

    def __init__(self) -> None:
        self.abort: Callable[[bool], None] = lambda _: None

    def __call__(self, stop: bool) -> None:
        self.abort(stop)


def _default_context(info: ModelInfo) -> int:
    wanted = settings().context_length
    return min(wanted, info.n_ctx_train) if info.n_ctx_train else wanted


def _refuse_what_does_not_fit(info: ModelInfo, params: LoadParams, n_ctx: int) -> None:
    if any(device.is_gpu for device in hardware.devices()):
        return  # layers go where they fit; what is left over is checked by the OS
    needed = estimate_memory(
        info, n_ctx=n_ctx, n_ubatch=params.n_ubatch, kv_type=params.kv_type
    ).total
    available = hardware.available_memory()
    if needed > available:
        fits = context_that_fits(
            info, available, n_ubatch=params.n_ubatch, kv_type=params.kv_type
        )
        raise DoesNotFit(needed, available, n_ctx_that_fits=fits)


def _choose_gpu_layers(info: ModelInfo, params: LoadParams, n_ctx: int) -> int:
    """Return the layers to offload: what was asked for, else as many as fit."""
    asked = params.n_gpu_layers
    if asked is None:
        asked = settings().n_gpu_layers
    free = sum(device.free for device in hardware.devices() if device.is_gpu)
    if not free:
        return 0
    if asked is None:
        return hardware.layers_that_fit(
            info,
            n_ctx=n_ctx,
            n_ubatch=params.n_ubatch,
            kv_type=params.kv_type,
            free=free,
        )
    return info.n_layers + 1 if asked < 0 else min(asked, info.n_layers + 1)


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


def _memory(lines: list[tuple[int, str]], info: ModelInfo) -> MemoryUse:
    """Read the buffer sizes that llama.cpp logs; its only account of them.

    The wording is no API: a test pins it for this engine version.
    """
    sizes = {"weights": 0, "kv": 0, "compute": 0}
    kinds = {"model": "weights", "KV": "kv", "RS": "kv"}
    by_device: dict[str, int] = {}
    for device, what, mebibytes in _BUFFER.findall("".join(text for _, text in lines)):
        size = round(float(mebibytes) * 2**20)
        sizes[kinds.get(what, "compute")] += size
        by_device[device] = by_device.get(device, 0) + size
    if not sizes["weights"]:
        sizes["weights"] = info.weights_size
    return MemoryUse(**sizes, by_device=by_device)
