"""Run, compare and measure local language models inside a notebook.

Two lines to an answer, one to the quant worth running::

    import localkit
    model = localkit.load("smollm2-135m-instruct")
    localkit.compare("smollm2-135m-instruct")

In Jupyter, ``%load_ext localkit`` adds ``%llm`` and ``%%llm``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from localkit.version import __version__

if TYPE_CHECKING:
    from localkit.asking.tool_rounds import run_rounds
    from localkit.chat.messages import Message, tool_result
    from localkit.chat.result import Result
    from localkit.chat.tools import Tool, ToolCall
    from localkit.creating import create
    from localkit.errors import LocalkitError
    from localkit.evals.comparing.compare import compare
    from localkit.evals.comparing.which import which
    from localkit.evals.running.evaluate import evaluate
    from localkit.evals.speed.bench_models import bench
    from localkit.evals.tasks.catalog import load_task
    from localkit.evals.tasks.from_file import task_from_file
    from localkit.evals.tasks.task import Task, task_from_data
    from localkit.events import CancelToken
    from localkit.kit import Kit, default_kit, load
    from localkit.model import Model
    from localkit.pulling import pull
    from localkit.runtime.params import (
        Adapter,
        LoadParams,
        SamplingParams,
        ServeParams,
        Structure,
    )
    from localkit.runtime.vision.images import Image, read_image
    from localkit.widgets.comparison.explore import explore
    from localkit.widgets.models.models import models
    from localkit.widgets.monitor.monitor import monitor
    from localkit.widgets.playground.playground import playground
    from localkit.widgets.prompt.inspect_prompt import inspect_prompt
    from localkit.widgets.tokens.tokens import tokens

# Imported on first use, so that `import localkit` stays under 100 ms.
_HOMES = {
    "Adapter": "localkit.runtime.params",
    "bench": "localkit.evals.speed.bench_models",
    "CancelToken": "localkit.events",
    "compare": "localkit.evals.comparing.compare",
    "create": "localkit.creating",
    "default_kit": "localkit.kit",
    "evaluate": "localkit.evals.running.evaluate",
    "explore": "localkit.widgets.comparison.explore",
    "Image": "localkit.runtime.vision.images",
    "inspect_prompt": "localkit.widgets.prompt.inspect_prompt",
    "Kit": "localkit.kit",
    "load": "localkit.kit",
    "load_task": "localkit.evals.tasks.catalog",
    "LoadParams": "localkit.runtime.params",
    "LocalkitError": "localkit.errors",
    "Message": "localkit.chat.messages",
    "Model": "localkit.model",
    "models": "localkit.widgets.models.models",
    "monitor": "localkit.widgets.monitor.monitor",
    "playground": "localkit.widgets.playground.playground",
    "pull": "localkit.pulling",
    "read_image": "localkit.runtime.vision.images",
    "Result": "localkit.chat.result",
    "run_rounds": "localkit.asking.tool_rounds",
    "SamplingParams": "localkit.runtime.params",
    "ServeParams": "localkit.runtime.params",
    "Structure": "localkit.runtime.params",
    "Task": "localkit.evals.tasks.task",
    "task_from_data": "localkit.evals.tasks.task",
    "task_from_file": "localkit.evals.tasks.from_file",
    "tokens": "localkit.widgets.tokens.tokens",
    "Tool": "localkit.chat.tools",
    "tool_result": "localkit.chat.messages",
    "ToolCall": "localkit.chat.tools",
    "which": "localkit.evals.comparing.which",
}

__all__ = [
    "Adapter",
    "CancelToken",
    "Image",
    "Kit",
    "LoadParams",
    "LocalkitError",
    "Message",
    "Model",
    "Result",
    "SamplingParams",
    "ServeParams",
    "Structure",
    "Task",
    "Tool",
    "ToolCall",
    "__version__",
    "bench",
    "compare",
    "create",
    "default_kit",
    "evaluate",
    "explore",
    "inspect_prompt",
    "load",
    "load_ipython_extension",
    "load_task",
    "models",
    "monitor",
    "playground",
    "pull",
    "read_image",
    "run_rounds",
    "task_from_data",
    "task_from_file",
    "tokens",
    "tool_result",
    "unload_ipython_extension",
    "which",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name not in _HOMES:
        msg = f"module 'localkit' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*__all__, *globals()})


def load_ipython_extension(ipython: Any) -> None:
    """Add the magics: called by ``%load_ext localkit``."""
    from localkit import magics

    magics.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away again: called by ``%unload_ext localkit``."""
    from localkit import magics

    magics.unload(ipython)
