"""The public names, pinned: a change here is a change that users see."""

from __future__ import annotations

import localkit

PUBLIC = [
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


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(localkit.__all__) == PUBLIC


def test_every_public_name_can_be_had_and_is_listed_by_dir() -> None:
    for name in localkit.__all__:
        assert getattr(localkit, name) is not None
    assert set(localkit.__all__) <= set(dir(localkit))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(localkit, "lode")
