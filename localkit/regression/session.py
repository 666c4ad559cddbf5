"""One ``pytest --localkit``: takes notebooks up, and sums up what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localkit.regression.collecting import UPDATES, NotebookFile

if TYPE_CHECKING:
    from collections.abc import Generator

    from _pytest.terminal import TerminalReporter

_MOST_LINES = 20


class NotebookSession:
    """The hooks of pytest that ``--localkit`` adds.

    Cells may run in the workers of pytest-xdist (``--dist loadfile``): what they
    found travels in their reports.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Look whether notebooks can be run at all.

        Raises:
            pytest.UsageError: a package is missing, or options do not go together.
        """
        for module in ("nbclient", "nbformat"):
            try:
                __import__(module)
            except ImportError as error:
                msg = (
                    f"--localkit needs {module}, which is not installed: "
                    "pip install 'localkit[pytest]'"
                )
                raise pytest.UsageError(msg) from error
        if config.getoption("--localkit-update") and _has_workers(config):
            msg = "--localkit-update writes notebooks: give it without -n"
            raise pytest.UsageError(msg)
        self._config = config
        config.stash[UPDATES] = []
        self._found: list[dict[str, Any]] = []

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> NotebookFile | None:
        """Take up every notebook."""
        if file_path.suffix != ".ipynb":
            return None
        file: NotebookFile = NotebookFile.from_parent(parent, path=file_path)
        return file

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what was found in a cell into its report."""
        report = yield
        outcome = getattr(item, "outcome", None)
        if call.when == "call" and outcome is not None:
            shown = getattr(item.parent, "shown", "")
            found = {"notebook": shown, **outcome.as_dict()}
            report.localkit = found  # type: ignore[attr-defined] # pytest allows it
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what was found, here or in a worker."""
        found = getattr(report, "localkit", None)
        if found is not None:
            self._found.append(found)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say what was the same, what was within its bands, and how fast it was."""
        updates = self._config.stash[UPDATES]
        if not self._found and not updates:
            return
        terminalreporter.section("localkit", sep="-")
        for line in summary_lines(self._found):
            terminalreporter.write_line(line)
        for line in updates:
            terminalreporter.write_line(line)
        target = self._config.getoption("--localkit-report")
        if target:
            from localkit.regression.report_page import write_report

            path = write_report(Path(target), self._found)
            terminalreporter.write_line(f"report: {path}")


def summary_lines(found: list[dict[str, Any]]) -> list[str]:
    """Return counts, then one line for each thing within its bands or only noted."""
    compared = [one for one in found if one["subjects"]]
    counts = {
        words: sum(one["standing"] == standing for one in compared)
        for standing, words in (
            ("same", "the same"),
            ("within", "within the bands"),
            ("changed", "changed"),
            ("noted", "not judged"),
        )
    }
    said = ", ".join(f"{n} {words}" for words, n in counts.items() if n)
    lines = [
        f"{len(found)} cells run, {len(compared)} with results to compare"
        + (f": {said}" if said else "")
    ]
    details = [
        f"{one['notebook']} In[{one['cell']}]: {words}"
        for one in found
        for standing, words, _, _ in one["findings"]
        if standing in {"within", "noted"}
    ]
    left = len(details) - _MOST_LINES
    if left > 0:
        more = f"and {left} lines more: --localkit-report FILE.html has them all"
        details = [*details[:_MOST_LINES], more]
    return lines + details


def _has_workers(config: pytest.Config) -> bool:
    """Whether pytest-xdist is in use, seen from the main process or a worker."""
    if hasattr(config, "workerinput"):
        return True
    return bool(config.getoption("numprocesses", default=None))
