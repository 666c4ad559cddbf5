"""A sample in words and figures: the same in the view and in the record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from localkit.evals.report.figures import MISSING, percent, rate, seconds, size
from localkit.render.pace import duration
from localkit.render.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from localkit.runtime.memory.gpus import GpuUse
    from localkit.runtime.pool.finished import FinishedRequest
    from localkit.runtime.pool.standing import Standing
    from localkit.widgets.monitor.sample import Sample

MODEL_HEADERS = (
    "model",
    "quant",
    "state",
    "slots",
    "queued",
    "prefill tok/s",
    "decode tok/s",
    "KV cells",
    "weights",
    "KV",
    "compute",
    "runs on",
)
MODEL_ALIGN = "<<<>>>>>>>><"
REQUEST_HEADERS = (
    "ended",
    "model",
    "prompt",
    "reused",
    "generated",
    "TTFT",
    "prefill tok/s",
    "decode tok/s",
    "finish reason",
)
REQUEST_ALIGN = "<<>>>>>><"


class Line(NamedTuple):
    """A figure of the whole process."""

    label: str
    value: str
    note: str = ""


def model_row(one: Standing) -> tuple[str, ...]:
    """Return the cells of one model, under `MODEL_HEADERS`."""
    memory, activity = one.memory, one.activity
    here = one.state != "unloaded"
    return (
        one_line(one.name),
        one_line(one.quant),
        state_of(one),
        f"{activity.n_busy}/{activity.n_slots}" if activity else "",
        str(one.n_waiting + (activity.n_queued if activity else 0)) if here else "",
        per_s(activity.prefill_per_s) if activity else "",
        per_s(activity.decode_per_s) if activity else "",
        f"{activity.n_cells:,} of {one.n_ctx:,}" if activity else "",
        size(memory.weights) if memory and here else "",
        size(memory.kv) if memory and here else "",
        size(memory.compute) if memory and here else "",
        one.lies if here else "",
    )


def request_row(one: FinishedRequest) -> tuple[str, ...]:
    """Return the cells of one request, under `REQUEST_HEADERS`."""
    return (
        f"{one.ended.astimezone():%H:%M:%S}",
        one_line(one.model),
        f"{one.n_prompt:,}",
        f"{one.n_reused:,}",
        f"{one.n_generated:,}",
        seconds(one.ttft_s) if one.n_generated else MISSING,
        rate(one.prefill_per_s) if one.n_generated else MISSING,
        rate(one.decode_per_s),
        one.finish_reason,
    )


def lines(sample: Sample) -> list[Line]:
    """Return the figures of the whole process."""
    process = sample.process
    found = [
        Line("decode", f"{per_s(sample.decode_per_s)} tok/s"),
        Line("prefill", f"{per_s(sample.prefill_per_s)} tok/s"),
        Line(
            "slots",
            f"{sample.n_busy} of {sample.n_slots} busy",
            f"{sample.n_queued} queued",
        ),
        Line(
            "memory of this process",
            size(process.total),
            f"{size(process.mapped)} of files mapped, {size(process.anonymous)} "
            f"its own · {size(sample.free)} free for a load",
        ),
    ]
    return found + [_gpu(index, gpu) for index, gpu in enumerate(sample.gpus)]


def _gpu(index: int, gpu: GpuUse) -> Line:
    used = f"{size(gpu.used)} of {size(gpu.total)}"
    busy = "" if gpu.busy is None else f" · {percent(gpu.busy, places=0)} busy"
    return Line(f"GPU {index}", used, one_line(gpu.name) + busy)


def per_s(value: float) -> str:
    """Return a rate; nothing going on is a plain 0."""
    return rate(value) if value else "0"


def _about(seconds_: float) -> str:
    """Return a duration without the digits that would change every second."""
    if seconds_ >= 60:
        return f"{math.ceil(seconds_ / 60)} min"
    return duration(10 * math.ceil(max(seconds_, 1) / 10))


def state_of(one: Standing, *, span: Callable[[float], str] = _about) -> str:
    """Return how a model stands and until when, in words.

    ``span`` writes seconds; by default in words that change seldom.
    """
    match one.state:
        case "loading":
            return f"loading {100 * one.progress:.0f} %"
        case "waiting":
            return "waits to be loaded"
        case "unloading":
            return "unloading"
        case "unloaded":
            return f"unloaded {span(one.ago_s)} ago: {one.reason}"
    if one.apart:
        return "in a measurement"
    if one.in_use:
        return "in use"
    if math.isinf(one.ends_in_s):
        return "stays loaded"
    return f"unloads in {span(one.ends_in_s)}"
