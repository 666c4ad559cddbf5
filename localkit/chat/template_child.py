"""The child process in which an unknown chat template is rendered first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from localkit.chat.messages import as_messages
from localkit.chat.template import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localkit.events import OnProgress

CPU_S = 2
"""Processor seconds of the child, its start of 0.1 s included; then SIGXCPU."""
ADDRESS_SPACE = 512 << 20
"""Bytes it may take on top of what the child has when it starts."""


def work(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Render one conversation; what `run_in_child` calls in the child.

    Raises:
        TemplateError: the template does not render.
    """
    del on_progress
    template = ChatTemplate(
        request["source"], request["bos_token"], request["eos_token"]
    )
    messages = as_messages(
        [
            {key: value for key, value in message.items() if value}
            | {"content": message["content"]}
            for message in request["messages"]
        ]
    )
    _limit()
    return {"text": template.render_here(messages, **request["options"])}


def _limit() -> None:
    """Limit this process for good."""
    if sys.platform == "win32":  # no such limits there; the budget is all there is
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    # The limit counts whole seconds from the start of the process.
    cpu_s = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    if sys.platform == "linux":  # macOS does not enforce it
        with open("/proc/self/statm", encoding="ascii") as file:
            n_pages = int(file.read().split()[0])
        space = n_pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
