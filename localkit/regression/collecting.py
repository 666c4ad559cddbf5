"""Notebooks and their cells as pytest collects them: one kernel a notebook."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from localkit.errors import LocalkitError
from localkit.regression import calibration
from localkit.regression.checking import FAILS, check_cell, error_of
from localkit.regression.finding import Finding, Outcome, Rules
from localkit.regression.running import (
    SKIP,
    FreshRun,
    code_cells,
    read_notebook,
    tags_of,
)
from localkit.regression.updating import Fresh, with_probe, write_outputs
from localkit.regression.words import outcome_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest._code.code import ExceptionInfo, TerminalRepr
    from nbformat import NotebookNode

UPDATES: pytest.StashKey[list[str]] = pytest.StashKey()
"""What `--localkit-update` did, a line a notebook."""

_NO_MODEL = "ModelNotFound"


class Changed(Exception):
    """A cell does not show what was saved."""


def rules_of(config: pytest.Config) -> Rules:
    """Return the rules that the command line asks for."""
    option = config.getoption
    return Rules(
        k=option("--localkit-errors"),
        similarity=option("--localkit-similarity"),
        allow_change=option("--localkit-allow-change"),
        perf=option("--localkit-perf"),
    )


class NotebookFile(pytest.File):
    """A notebook; its kernel runs from its first cell to its last."""

    _run: FreshRun | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item a code cell, called ``localkit[3]`` for ``In[3]``."""
        try:
            self.notebook = read_notebook(self.path)
        except LocalkitError as error:
            raise self.CollectError(error.one_line()) from error
        self.fresh: dict[int, Fresh] = {}
        self.failed: list[str] = []
        self.no_model = ""
        for index, (place, cell) in enumerate(code_cells(self.notebook).items()):
            name = f"localkit[{index + 1}]"
            yield CellItem.from_parent(
                self, name=name, index=index, place=place, cell=cell
            )

    @property
    def shown(self) -> str:
        """Path from where pytest was started."""
        return self.nodeid

    def run(self, index: int) -> Fresh:
        """Return what a code cell shows now, running those before it.

        Raises:
            LocalkitError: it could not be run.
        """
        if self._run is None:
            option = self.config.getoption
            self._run = FreshRun(
                self.path,
                self.notebook,
                timeout_s=option("--localkit-timeout"),
                kernel_name=option("--localkit-kernel"),
            )
        outputs = self._run.outputs(index)
        if any(one.get("metadata", {}).get("localkit") for one in outputs):
            outputs = with_probe(outputs, calibration.measure())
        return Fresh(outputs, self._run.count(index))

    def teardown(self) -> None:
        """End the kernel; write what was accepted."""
        if self._run is not None:
            self._run.close()
            self._run = None
        if self.config.getoption("--localkit-update"):
            self.config.stash[UPDATES].append(f"{self.shown}: {self._update()}")

    def _update(self) -> str:
        """Write what was accepted; return what came of it."""
        if self.failed:
            return f"not updated, because {', '.join(self.failed)} failed"
        if self.no_model:
            return f"not updated, because a model is missing: {self.no_model}"
        if not self.fresh:
            return "nothing to update"
        changed = write_outputs(self.path, self.fresh)
        return f"{len(self.fresh)} cells updated" if changed else "nothing changed"


class CellItem(pytest.Item):
    """A code cell."""

    parent: NotebookFile
    outcome: Outcome | None = None

    def __init__(
        self, *, index: int, place: int, cell: NotebookNode, **named: Any
    ) -> None:
        """Take a cell by its place among the code cells, and among all."""
        super().__init__(**named)
        self._index = index
        self._place = place
        self._cell = cell

    def runtest(self) -> None:
        """Run the cell in its notebook's kernel, and compare.

        Raises:
            Changed: it does not show what was saved.
        """
        tags = tags_of(self._cell)
        if SKIP in tags:
            pytest.skip(f"tagged {SKIP}")
        file = self.parent
        try:
            fresh = file.run(self._index)
            if error_of(fresh.outputs) and FAILS not in tags:
                self._skip_without_model(error_of(fresh.outputs) or "")
            self.outcome = self._check(fresh)
        except LocalkitError as error:
            found = (Finding("changed", error.one_line()),)
            self.outcome = Outcome(self._index + 1, self._cell.source, found)
        if self.outcome.standing == "changed":
            file.failed.append(self.name)
            raise Changed
        if file.config.getoption("--localkit-update") and self._is_new(fresh):
            file.fresh[self._place] = fresh

    def repr_failure(
        self, excinfo: ExceptionInfo[BaseException], *_: Any, **__: Any
    ) -> str | TerminalRepr:
        """Return what changed, in words."""
        if isinstance(excinfo.value, Changed) and self.outcome is not None:
            return outcome_text(self.parent.shown, self.outcome)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the cell is, for messages."""
        return self.path, None, self.name  # a dot in it would be read as a class

    def _check(self, fresh: Fresh) -> Outcome:
        rules = rules_of(self.config)
        if self.config.getoption("--localkit-update"):
            # What is asked for is a new baseline: only a failing cell fails.
            error = error_of(fresh.outputs)
            if error is None or FAILS in tags_of(self._cell):
                return self._accepted(fresh, rules)
        return self._compared(fresh, rules)

    def _compared(self, fresh: Fresh, rules: Rules) -> Outcome:
        return check_cell(
            self._index + 1,
            self._cell.source,
            self._cell.get("outputs", []),
            fresh.outputs,
            rules=rules,
            tags=tags_of(self._cell),
        )

    def _accepted(self, fresh: Fresh, rules: Rules) -> Outcome:
        """Return what would have been found, with every change accepted."""
        found = self._compared(fresh, rules)
        accepted = tuple(
            Finding("within", f"{one.words} (accepted)", one.before, one.after)
            if one.standing == "changed"
            else one
            for one in found.findings
        )
        return Outcome(
            found.cell, found.source, accepted, found.skipped, found.subjects
        )

    def _is_new(self, fresh: Fresh) -> bool:
        """Whether the outputs have new figures, or show something else."""
        saved = self._cell.get("outputs", [])
        ours = [one.get("metadata", {}).get("localkit") for one in fresh.outputs]
        return any(ours) or _shown(saved) != _shown(fresh.outputs)

    def _skip_without_model(self, error: str) -> None:
        """Skip a cell for want of a model, and what fails after it."""
        file = self.parent
        name, _, said = error.partition(": ")
        if name == _NO_MODEL:
            file.no_model = file.no_model or f"In[{self._index + 1}]: {said}"
            pytest.skip(" ".join(said.split()))
        if file.no_model:
            pytest.skip(f"a model is missing since {file.no_model}")


def _shown(outputs: Any) -> list[Any]:
    """Return what the outputs show, without what counts cells."""
    return list(
        itertools.chain.from_iterable(
            (one.get("data"), one.get("text"), one.get("ename"), one.get("evalue"))
            for one in outputs
        )
    )
