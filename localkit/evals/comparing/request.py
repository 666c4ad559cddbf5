"""Request: what `compare` was asked for, as it was asked."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.evals.comparing.axes import NO_AXES, Axes
from localkit.evals.tasks.given import several

if TYPE_CHECKING:
    from localkit.config import Effort
    from localkit.evals.tasks.catalog import Text
    from localkit.evals.tasks.datasets import Data
    from localkit.evals.tasks.task import Task
    from localkit.store.ref import ModelRef

    AnyTask = str | Path | Task | Data
    AnyText = str | Path | Text


@dataclass(frozen=True, slots=True)
class Request:
    """Arguments of a comparison; see `compare` for what they mean."""

    ref: str | ModelRef
    quants: Sequence[str] | None = None
    reference: str | None = None
    against: Sequence[str] = ()
    task: AnyTask | Sequence[AnyTask] | None = None
    text: AnyText | Sequence[AnyText] | None = None
    prompts: Sequence[str] = ()
    suite: str | None = None
    effort: Effort | None = None
    budget: int | str | None = None
    max_kld: float = 0.05
    max_loss: float | None = None
    min_decode_per_s: float | None = None
    precision: float | None = None
    depth: Sequence[int] = ()
    clients: Sequence[int] = ()
    allow_code: bool = False
    axes: Axes = NO_AXES
    source: str = ""
    """File of prompts that `which` was given; empty: it was not `which`."""

    def command(self, effort: Effort, tasks: Sequence[Task]) -> str:
        """Return the terminal command that runs the same comparison again.

        What a terminal cannot say (data in memory, named prompts) stands in it in
        angle brackets.
        """
        if self.source:
            words = ["localkit", "which", str(self.ref), self.source]
        else:
            words = ["localkit", "compare", str(self.ref)]
        if self.quants is not None:
            words += ["--quants", ",".join(self.quants)]
        words += _option("--reference", self.reference)
        for name in self.against:
            words += ["--against", name]
        words += _option("--suite", self.suite)
        given = several(self.task)
        own = tasks[len(tasks) - len(given) :]
        names = [_named(one, task.name) for one, task in zip(given, own, strict=True)]
        if self.source:
            names = []
        elif not names and not self.suite:
            names = ["none"]
        for name in names:
            words += ["--task", name]
        for text in several(self.text):
            words += ["--text", _named(text, getattr(text, "name", "text"))]
        if self.prompts and not self.source:
            words += ["--prompts", "<prompts>"]
        words += ["--effort", effort]
        words += _option("--budget", self.budget)
        words += _option("--max-kld", self.max_kld)
        words += _option("--max-loss", self.max_loss)
        words += _option("--min-decode", self.min_decode_per_s)
        words += _option("--precision", self.precision)
        words += _option("--depth", ",".join(map(str, self.depth)) or None)
        words += _option("--clients", ",".join(map(str, self.clients)) or None)
        for field in fields(self.axes):
            words += _axis(field.name, getattr(self.axes, field.name))
        return shlex.join(words)


def _named(given: Any, name: str) -> str:
    return str(given) if isinstance(given, str | Path) else f"<{name}>"


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [name, str(value)]


def _axis(axis: str, given: Any) -> list[str]:
    if given is None:
        return []
    values = (
        list(given)
        if isinstance(given, Mapping)
        else list(given)
        if isinstance(given, list | tuple)
        else [given]
    )
    option = "--" + axis.replace("_", "-")
    if axis in ("kv_type", "n_ctx", "n_gpu_layers"):
        return [option, ",".join(map(str, values))]
    if axis == "flash_attn":
        words = {True: "on", False: "off", None: "auto"}
        return [option, ",".join(words[value] for value in values)]
    return [option, f"<{len(values)} of them>"]
