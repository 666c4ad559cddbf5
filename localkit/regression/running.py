"""A notebook run cell by cell in a fresh kernel that takes nothing from a cache."""

from __future__ import annotations

import copy
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.config import kernel_environment, settings
from localkit.errors import EvalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

TIMEOUT_S = 600.0
"""Longest that a cell may run where nothing else is said."""
SKIP = "localkit-skip"
"""Tag of a cell that is not run at all."""


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook in the current format.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    try:
        import nbformat
    except ImportError as error:
        raise _missing(error) from error
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        msg = f"there is no notebook {path.name}"
        raise UsageError(msg, hint="give the path of an .ipynb file") from None
    except Exception as error:  # nbformat lets whatever it met through
        line = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path.name} cannot be read as a notebook: {line[:200]}"
        raise UsageError(msg, hint="open it in Jupyter and save it") from error


def code_cells(notebook: NotebookNode) -> dict[int, NotebookNode]:
    """Return the cells that can be run, by their place in the notebook."""
    return {
        place: cell
        for place, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip()
    }


def tags_of(cell: NotebookNode) -> frozenset[str]:
    """Return the tags of a cell."""
    tags = cell.metadata.get("tags", ())
    return frozenset(map(str, tags)) if isinstance(tags, list | tuple) else frozenset()


class FreshRun:
    """Runs the code cells of one notebook, each once and in order."""

    def __init__(
        self,
        path: Path,
        notebook: NotebookNode,
        *,
        timeout_s: float = TIMEOUT_S,
        kernel_name: str | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            path: Where the notebook lies: the kernel starts in its folder.
            notebook: What it holds; not changed.
            timeout_s: Longest that one cell may run.
            kernel_name: Default: the one that the notebook names.
        """
        self._path = path
        self._notebook = copy.deepcopy(notebook)
        found = code_cells(self._notebook)
        self._places, self._cells = list(found), list(found.values())
        self._timeout_s = timeout_s
        self._kernel_name = kernel_name
        self._stack = ExitStack()
        self._client: Any = None
        self._done = 0
        self.broken = ""
        """Why no more cells can be run."""

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return what code cell ``index`` (from 0) shows, running those before it.

        Raises:
            EvalError: a cell ran too long, or the kernel died.
            UsageError: nbclient or the kernel is not installed.
        """
        while self._done <= index and not self.broken:
            self._run(self._done)
            self._done += 1
        if self.broken:
            raise EvalError(self.broken)
        return [dict(one) for one in self._cells[index].outputs]

    def count(self, index: int) -> int | None:
        """Return the number that the kernel gave to code cell ``index``."""
        count = self._cells[index].get("execution_count")
        return count if isinstance(count, int) else None

    def close(self) -> None:
        """End the kernel; nothing may be run after."""
        self._stack.close()
        self._client = None

    def _run(self, index: int) -> None:
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        cell = self._cells[index]
        cell.outputs = []
        if SKIP in tags_of(cell):
            return
        if self._client is None:
            self._client = self._start()
        try:
            self._client.execute_cell(cell, self._places[index])
        except CellTimeoutError:
            self.broken = f"In[{index + 1}] ran longer than {self._timeout_s:g} s"
        except DeadKernelError:
            self.broken = f"the kernel died in In[{index + 1}]"
        if self.broken:
            self.close()

    def _start(self) -> Any:
        if settings().fresh_run:
            msg = "this is a fresh run already"
            hint = f"tag the cell that starts one {SKIP}"
            raise UsageError(msg, hint=hint)
        try:
            from nbclient import NotebookClient
        except ImportError as error:
            raise _missing(error) from error
        named = self._notebook.metadata.get("kernelspec", {}).get("name", "python3")
        home = self._stack.enter_context(fresh_home())
        client = NotebookClient(
            self._notebook,
            timeout=self._timeout_s,
            kernel_name=self._kernel_name or named,
            allow_errors=True,
            record_timing=False,
            # ipykernel warns of its own loopback sockets.
            extra_arguments=["--Application.log_level=ERROR"],
            resources={"metadata": {"path": str(self._path.parent)}},
        )
        environment = kernel_environment(
            LOCALKIT_HOME=str(home),
            LOCALKIT_MODELS=str(settings().models_dir),
            LOCALKIT_CACHE_ANSWERS="0",
            LOCALKIT_FRESH_RUN="1",
            LOCALKIT_STREAM="0",
            JPY_SESSION_NAME="",
        )
        try:
            self._stack.enter_context(client.setup_kernel(env=environment))
        except Exception as error:
            # jupyter_client's own, which nbclient brings along.
            if type(error).__name__ != "NoSuchKernel":
                raise
            msg = f"there is no kernel '{self._kernel_name or named}' here"
            hint = "name another: --localkit-kernel python3"
            raise UsageError(msg, hint=hint) from error
        return client


@contextmanager
def fresh_home() -> Iterator[Path]:
    """Yield a home without answers and results, gone afterwards.

    What was measured before would be shown again, and the run would prove nothing.
    That a file is safe to load, and how many threads are best here, is no result:
    both are taken along.
    """
    known = settings().cache_dir
    with tempfile.TemporaryDirectory(
        prefix="localkit-fresh-", ignore_cleanup_errors=True
    ) as folder:
        cache = Path(folder) / "cache"
        cache.mkdir()
        _share(known / "proved", cache / "proved")
        if (known / "calibration.json").is_file():
            shutil.copy(known / "calibration.json", cache)
        yield Path(folder)


def _share(folder: Path, as_: Path) -> None:
    """Let both paths mean one folder; where links are not allowed, a copy of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        as_.symlink_to(folder, target_is_directory=True)
    except OSError:
        if folder.is_dir():
            shutil.copytree(folder, as_)


def _missing(error: ImportError) -> UsageError:
    msg = f"running notebooks needs {error.name}, which is not installed"
    return UsageError(msg, hint="pip install 'localkit[pytest]'")
