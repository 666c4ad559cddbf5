from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from localkit.io.processes import ProcessId, parse, this_process


def test_a_process_is_named_in_text_that_reads_back() -> None:
    assert parse(str(this_process())) == this_process()
    assert this_process().pid == os.getpid()


@pytest.mark.parametrize(
    "text",
    ["", "1", "0badcafe-1", "0badcafe-1-2-3", "x" * 8 + "-1-2", "0badcafe-1-2\n"],
)
def test_other_text_names_no_process(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("buried", [True, False])
def test_a_process_lives_until_it_has_ended(buried: bool) -> None:
    assert this_process().lives()
    code = "from localkit.io.processes import this_process; print(this_process())"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        named = parse(child.stdout.readline().strip())
        assert named is not None
        assert named.pid == child.pid
        assert named.lives()
        if not buried:
            child.kill()
            # Waits for its end without asking for its status.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            assert not named.lives()
        child.communicate("\n")
    assert not named.lives()


def test_a_number_that_was_given_anew_is_another_process() -> None:
    mine = this_process()
    earlier = dataclasses.replace(mine, started_s=mine.started_s - 100)
    assert not earlier.lives()


def test_a_process_of_another_machine_cannot_be_seen() -> None:
    assert ProcessId("0badcafe", 1, 1).lives() is None
