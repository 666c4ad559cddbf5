"""R10: a forked process never enters the engine it inherited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.processes import end_group, start_script

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
]


@pytest.fixture(scope="module", params=["llama", "isolated"])
def report(request: pytest.FixtureRequest, tiny_gguf: Path) -> dict[str, Any]:
    process = start_script("forking.py", request.param, str(tiny_gguf))
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        end_group(process)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return {**found, "kind": request.param}


def test_R10_every_call_in_a_forked_child_is_refused_at_once(
    report: dict[str, Any],
) -> None:
    ends = report["ends"]
    assert ends.pop("close")[0] == "nothing"
    if report["kind"] == "isolated":
        ends.pop("load")  # nothing was loaded in the parent itself
    for name, (raised, seconds) in ends.items():
        assert raised == "RuntimeForked", name
        assert seconds <= 0.01, name


def test_R10_the_parent_goes_on_as_if_nothing_had_happened(
    report: dict[str, Any],
) -> None:
    assert report["same"]
    assert report["parent"] is False


def test_R10_a_forked_child_ends_by_itself(report: dict[str, Any]) -> None:
    assert report["status"] == 0
    assert report["is_child"] is (report["kind"] == "llama")


def test_a_forked_child_may_load_a_model_in_a_worker_of_its_own(
    report: dict[str, Any],
) -> None:
    assert report["isolated"] == "nothing"


def test_a_fork_before_any_engine_is_loaded_is_free_to_load_one(
    tiny_gguf: Path,
) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from localkit.gguf import read_info\n"
        "from localkit.runtime.isolation import forks\n"
        "from localkit.runtime.llama import LlamaRuntime\n"
        "from localkit.runtime.params import LoadParams, SamplingParams\n"
        "child = os.fork()\n"
        "if child:\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "forks.check()\n"
        "params = LoadParams(n_ctx=256, n_threads=1)\n"
        "session = LlamaRuntime().load(read_info(Path(sys.argv[1])), params)\n"
        "session.stream([5], SamplingParams(max_tokens=2)).wait()\n"
        "session.close()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tiny_gguf)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
