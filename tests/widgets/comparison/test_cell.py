"""A comparison in a cell that a front end watches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.fixtures.notebook import Notebook, of_type
from tests.widgets.comparison.family import rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = """\
from pathlib import Path
from localkit.evals.report import plots
from localkit.kit import set_default
from tests.widgets.comparison.family import scripted
holder = scripted(Path("family"))
kit = holder.__enter__()
set_default(kit)
plots.draw = lambda *rows, **options: ()
%load_ext localkit
"""
COMPARE = "%llm compare tiny --effort quick --task numbers.jsonl --quants f16,q2_k"
RULE = "Rule: of the candidates"


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """Return a kernel that has compared; what follows is not measured again."""
    folder = tmp_path_factory.mktemp("notebook")
    write_rows(folder / "numbers.jsonl", rows()[:20])
    root = str(pytest.importorskip("localkit").__path__[0]).rpartition("/")[0]
    env = {
        **os.environ,
        "LOCALKIT_HOME": str(folder / "home"),
        "PYTHONPATH": root,
    }
    manager, client = start_new_kernel(env=env, cwd=str(folder))
    notebook = Notebook(manager, client)
    try:
        run(notebook, SETUP)
        run(notebook, f"{COMPARE} -o first")
        yield notebook
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(notebook: Notebook, cell: str, **options: bool) -> list[dict[str, Any]]:
    """Run a cell that ends well; return its messages."""
    _, messages = notebook.run(cell, **options)  # type: ignore[arg-type]
    assert of_type(messages, "error") == []
    return messages


def outputs(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return what stands in the cell in the end."""
    shown: dict[str, dict[str, str]] = {}
    for number, message in enumerate(messages):
        content = message["content"]
        if "data" in content:
            name = content.get("transient", {}).get("display_id", str(number))
            shown[name] = content["data"]
    return [data for data in shown.values() if not is_widget(data)]


def is_widget(data: dict[str, str]) -> bool:
    return any("widget-view" in kind for kind in data)


@pytest.mark.parametrize(
    "cell",
    [COMPARE, f"kept = {COMPARE}", f"{COMPARE} -o kept", f"kept = {COMPARE}\nkept"],
    ids=["alone", "assigned", "with -o", "assigned and shown"],
)
def test_the_report_stands_in_the_cell_once_however_it_is_called(
    notebook: Notebook, cell: str
) -> None:
    messages = run(notebook, cell, watched=True)
    shown = outputs(of_type(messages, "display_data", "update_display_data"))
    shown += outputs(of_type(messages, "execute_result"))
    views = of_type(messages, "display_data")
    assert sum(is_widget(one["content"]["data"]) for one in views) == 1
    assert sum(RULE in data.get("text/html", "") for data in shown) == 1


def test_N5_unwatched_there_is_no_widget(notebook: Notebook) -> None:
    messages = run(notebook, COMPARE)
    assert of_type(messages, "comm_open", "comm_msg", "display_data") == []
    (value,) = of_type(messages, "execute_result")
    assert RULE in value["content"]["data"]["text/html"]


def test_a_refused_argument_shows_no_empty_widget(notebook: Notebook) -> None:
    _, messages = notebook.run("%llm compare tiny --quants q7", watched=True)
    assert of_type(messages, "error")
    assert of_type(messages, "comm_open", "display_data") == []


def test_N5_an_interrupted_cell_keeps_the_table_so_far(notebook: Notebook) -> None:
    stop = (
        "from localkit.evals.running.bench import Steps\n"
        "advance = Steps.advance\n"
        "def stop(self, count=1):\n"
        "    if self._name == 'tok/s': raise KeyboardInterrupt\n"
        "    advance(self, count)\n"
        "Steps.advance = stop\n"
        f"{COMPARE} --n-ctx 64"
    )
    _, messages = notebook.run(stop, watched=True)
    assert of_type(messages, "error")
    shown = outputs(of_type(messages, "display_data", "update_display_data"))
    (kept,) = [data for data in shown if "stopped: the table so far" in str(data)]
    assert "Q2_K" in kept["text/plain"]
    assert "<details" not in kept["text/html"]
