"""Load a model's weights into the engine, and say why it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import Cancelled, LoadFailed
from localkit.events import CancelToken, OnProgress, Progress
from localkit.runtime import library, logs

if TYPE_CHECKING:
    from localkit.gguf.info import ModelInfo


def load_weights(
    engine: Any,
    info: ModelInfo,
    *,
    n_gpu_layers: int,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Any:
    """Return llama.cpp's model of the file that ``info`` describes.

    Raises:
        LoadFailed: llama.cpp refuses the model; says why.
        Cancelled: ``cancel`` was raised.
    """
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
