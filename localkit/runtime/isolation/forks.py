"""What a forked process may not do: call an engine it inherited.

``fork`` copies one thread. Owner threads and the engine's own teams do not exist
in the child, and a lock that one of them held stays locked for ever, so the first
engine call there would hang. Each entry asks `check` before it takes any lock.
"""

from __future__ import annotations

import os
import sys

from localkit.errors import RuntimeForked

# Until the engine is loaded there is nothing to inherit, and a fork is harmless.
_ENGINE = "llama_cpp"
_is_child = False


def is_child() -> bool:
    """Return whether this process was forked from one with the engine loaded."""
    return _is_child


def check() -> None:
    """Refuse to go on in such a process.

    Raises:
        RuntimeForked: says what to do instead.
    """
    if _is_child:
        raise forked()


def forked() -> RuntimeForked:
    """Return the error for a call in a forked process."""
    msg = f"process {os.getpid()} was forked from one with a model loaded"
    hint = (
        "call the model in the process that loaded it, start workers with the "
        "'spawn' method, or load here with isolate=True"
    )
    return RuntimeForked(msg, hint=hint)


def _after_in_child() -> None:
    global _is_child
    _is_child = _is_child or _ENGINE in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_in_child)
