"""One output of a cell. The only place that calls IPython's display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from IPython.core.interactiveshell import ExecutionResult
    from IPython.display import DisplayHandle


class Slot:
    """An output that is shown once, or replaced in place where ``live``.

    A live one may be replaced from any thread, also after its cell has ended.
    """

    def __init__(self, *, live: bool = False) -> None:
        """Show nothing yet."""
        self._live = live
        self._handle: DisplayHandle | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing that can be replaced was shown."""
        return self._handle is None

    def show(
        self, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Show a bundle of representations by media type."""
        from IPython.display import display

        options = {"raw": True, "metadata": dict(metadata or {})}
        if self._handle is not None:
            self._handle.update(dict(data), **options)  # type: ignore[no-untyped-call]
        elif self._live:
            self._handle = display(dict(data), display_id=True, **options)  # type: ignore[no-untyped-call]
        else:
            display(dict(data), **options)  # type: ignore[no-untyped-call]


def show_value(value: object) -> None:
    """Show a value the way it represents itself."""
    from IPython.display import display

    display(value)  # type: ignore[no-untyped-call]


def put_next_cell(source: str) -> bool:
    """Put ``source`` into a new cell below the one that runs.

    Returns:
        Whether there is a front end that may do so; between cells it cannot.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False
    shell.set_next_input(source)
    return True


def at_cell_end(callback: Callable[[object], None]) -> None:
    """Call back once, with the value of the cell that runs now, when it has ended.

    Outside IPython nothing ends, and nothing is called.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return

    def ended(result: ExecutionResult) -> None:
        shell.events.unregister("post_run_cell", ended)
        callback(result.result)

    shell.events.register("post_run_cell", ended)
