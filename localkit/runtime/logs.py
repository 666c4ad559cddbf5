"""llama.cpp's log: kept in a ring, never printed."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# ggml.h, enum ggml_log_level.
_DEBUG, _ERROR, _CONTINUED = 1, 4, 5


class _Capture(NamedTuple):
    lines: list[tuple[int, str]]
    on_line: Callable[[str], None] | None


_ring: deque[tuple[int, str]] = deque(maxlen=2000)
# By identity: two captures may hold equal lines.
_captures: dict[int, _Capture] = {}
_lock = threading.Lock()
# ctypes frees a callback that nobody holds, and the next log line would crash.
_callback: Any = None


def install(llama_cpp: Any) -> None:
    """Send every line that the engine logs from now on to this module."""
    global _callback
    last_level = 0

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def receive(level: int, text: bytes, _data: Any) -> None:
        nonlocal last_level
        last_level = last_level if level == _CONTINUED else level
        if last_level == _DEBUG:
            return  # a thousand lines a load
        line = (last_level, text.decode(errors="replace"))
        _ring.append(line)
        for capture in list(_captures.values()):
            capture.lines.append(line)
            if capture.on_line is not None:
                capture.on_line(line[1])

    _callback = receive
    llama_cpp.llama_log_set(receive, None)


def receiver() -> Any:
    """Return the native callback, for libraries that log by themselves."""
    return _callback


def recent() -> str:
    """Return the last lines the engine logged."""
    return "".join(text for _, text in list(_ring))


@contextmanager
def captured(
    *, on_line: Callable[[str], None] | None = None
) -> Iterator[list[tuple[int, str]]]:
    """Collect what the engine logs meanwhile, from any thread.

    ``on_line`` is called with each line as it comes, on the engine's thread.
    """
    lines: list[tuple[int, str]] = []
    with _lock:
        _captures[id(lines)] = _Capture(lines, on_line)
    try:
        yield lines
    finally:
        with _lock:
            del _captures[id(lines)]


def errors(lines: list[tuple[int, str]]) -> list[str]:
    """Return the error messages among ``lines``, without their C function names."""
    return [
        text.split(": ", 1)[-1].strip()
        for level, text in lines
        if level == _ERROR and text.strip()
    ]
