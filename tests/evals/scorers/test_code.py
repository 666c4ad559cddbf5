"""The code scorer: what is taken for code, and what the child cannot do."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from localkit.config import settings
from localkit.errors import Cancelled, UsageError
from localkit.evals.scorers.code import Code, require_allowed
from localkit.evals.scorers.protocol import Answer, Score
from localkit.evals.scorers.sandbox import run
from localkit.evals.scorers.sandbox.run import Limits, Verdict, run_tests
from localkit.evals.tasks.sample import Sample
from localkit.events import CancelToken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")

LIMITS = Limits(timeout_s=5)
needs_namespaces = pytest.mark.skipif(
    run.isolation() != "namespaces", reason="the system allows no namespaces"
)


@dataclass(frozen=True)
class Around:
    """Surroundings that allow code, or do not."""

    allow_code: bool = True
    cancel: CancelToken = field(default_factory=CancelToken)

    def open_subject(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.fixture(params=["namespaces", "guard"])
def isolated(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Run the test in each way to hold code."""
    if request.param == "namespaces" and run.isolation() != "namespaces":
        pytest.skip("the system allows no namespaces")
    monkeypatch.setattr(run, "isolation", lambda: request.param)
    yield request.param
    assert _left_over() == []


def _left_over() -> list[str]:
    """Return what still runs of the child's program."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        ours = any(part.endswith("sandbox/child.py") for part in command)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(command))
    return found


def verdict(code: str, tests: str = "pass", limits: Limits = LIMITS) -> Verdict:
    return run_tests(code, tests, limits=limits)


def score(
    scorer: Code, text: str, around: Around | None = None, **fields: Any
) -> Score:
    sample = Sample(id="0", prompt=fields.pop("prompt", ""), fields=fields)
    surroundings: Any = around or Around()
    return scorer.score(sample, Answer(text=text), surroundings)


def test_right_code_passes_and_wrong_code_says_which_test_failed(isolated: str) -> None:
    tests = "assert double(2) == 4, 'two'"
    assert verdict("def double(n): return 2 * n", tests).passed is True
    wrong = verdict("def double(n): return n", tests)
    assert (wrong.passed, wrong.why) == (False, "AssertionError: two")


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "print('the tests pass')",
        "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'passed' * 12)\n"
        "  except OSError: pass",
        "import os; os.closerange(0, 64)",
        "import builtins; builtins.exec = builtins.compile = lambda *a, **k: 'pass'",
        "import builtins; builtins.AssertionError = type('A', (BaseException,), {})",
        "import atexit, os; atexit.register(os._exit, 0)",
        "import sys; sys.excepthook = lambda *a: None",
        "class E(BaseException):\n  def __str__(self): raise self\nraise E",
        "import os; os.write = os.read = lambda *a: b''",
    ],
)
def test_E6_a_pass_cannot_be_had_without_reaching_the_end_of_the_tests(
    isolated: str, code: str
) -> None:
    assert verdict(code, "assert False").passed is False


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import time; time.sleep(60)", "while 1: print('x' * 9999)"],
)
def test_E6_what_never_ends_is_stopped(isolated: str, code: str) -> None:
    began = time.monotonic()
    assert verdict(code, limits=Limits(timeout_s=0.5)) == (False, "stopped after 0.5 s")
    assert time.monotonic() - began < 10


def test_E6_a_memory_hog_gets_no_more_than_its_share(isolated: str) -> None:
    assert verdict("x = bytearray(10 ** 10)").why.startswith("MemoryError")


def test_E6_a_crash_of_the_interpreter_is_a_failed_test(isolated: str) -> None:
    crashed = verdict("import os, signal; os.abort()")
    assert crashed.passed is False
    assert "SIGABRT" in crashed.why


def test_E6_what_it_writes_is_gone_and_other_files_cannot_be_changed(
    isolated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "places"
    places.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(places))
    victim = tmp_path / "victim"
    victim.mkdir()
    kept = victim / "kept"
    kept.write_text("mine", encoding="utf-8")
    attacks = [
        f"import shutil; shutil.rmtree({str(victim)!r})",
        f"import os; d = os.open({str(victim)!r}, 0); os.remove('kept', dir_fd=d)",
        f"import os; os.rename({str(kept)!r}, 'kept')",
        f"import os; d = os.open({str(victim)!r}, 0)\n"
        "os.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=d)",
        f"open({str(kept)!r}, 'a').write('theirs')",
        f"import os; os.chmod({str(kept)!r}, 0)",
    ]
    for attack in attacks:
        assert verdict(attack).passed is False, attack
    assert [path.name for path in victim.iterdir()] == ["kept"]
    assert kept.read_text(encoding="utf-8") == "mine"
    assert verdict("open('mine', 'w').write('x'); import os; os.mkdir('d')").passed
    assert list(places.iterdir()) == []


def test_E6_it_reaches_no_network(isolated: str) -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    refused = verdict(code)
    assert refused.passed is False
    assert "refused here" in refused.why or "unreachable" in refused.why


def test_E6_it_sees_no_environment_of_the_user(
    isolated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    code = "import os; assert 'secret' not in os.environ.values(), dict(os.environ)"
    assert verdict(code).passed is True


def test_cancelling_ends_the_child(isolated: str) -> None:
    cancel = CancelToken()
    threading.Timer(0.3, cancel.cancel).start()
    with pytest.raises(Cancelled):
        run_tests("while True: pass", "", limits=Limits(30), cancel=cancel)


def test_broken_tests_are_not_the_codes_fault() -> None:
    broken = verdict("pass", "assert (")
    assert broken.passed is None
    assert "SyntaxError" in broken.why


@needs_namespaces
def test_E6_a_fork_bomb_and_its_orphans_end_with_the_child() -> None:
    bomb = (
        "import os\nos.setsid()\n"
        "while True:\n  try: os.fork()\n  except OSError: os.sched_yield()"
    )
    assert verdict(bomb, limits=Limits(timeout_s=0.5)).passed is False
    orphan = "import os, time\nif not os.fork():\n  os.setsid(); time.sleep(60)"
    assert verdict(orphan).passed is True
    assert _left_over() == []


@needs_namespaces
def test_E6_it_sees_none_of_the_users_files_and_is_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    code = (
        "import os\n"
        f"assert not os.path.exists({str(secret)!r})\n"
        "assert os.getuid() not in (0, 1000), os.getuid()\n"
        "assert not os.path.exists('/proc/self'), 'proc'\n"
        f"assert not os.path.exists({os.path.expanduser('~/.ssh')!r})"
    )
    assert verdict(code) == (True, "the tests pass")


@needs_namespaces
def test_E6_it_cannot_fill_the_disk() -> None:
    code = "for n in range(9): open(f'{n}', 'wb').write(bytes(12 << 20))"
    assert "No space left" in verdict(code).why


def test_E6_nothing_runs_unless_it_was_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fields = {"tests": "assert True"}
    refused = score(Code(), "pass", Around(allow_code=False), **fields)
    assert refused.value is None
    assert "was not allowed" in refused.why
    with pytest.raises(UsageError, match="not allowed"):
        require_allowed([Code()], allow_code=False)
    monkeypatch.setenv("LOCALKIT_ALLOW_CODE", "guarded")
    settings.cache_clear()
    require_allowed([Code()], allow_code=False)
    assert score(Code(), "pass", Around(allow_code=False), **fields).value == 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1", "isolated"), ("true", "isolated"), ("0", "no"), ("", "no")],
)
def test_the_setting_takes_words_for_yes_and_no(
    monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    monkeypatch.setenv("LOCALKIT_ALLOW_CODE", said)
    settings.cache_clear()
    assert settings().allow_code == meant


def test_a_setting_that_is_no_word_for_either_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALKIT_ALLOW_CODE", "maybe")
    settings.cache_clear()
    with pytest.raises(UsageError, match="LOCALKIT_ALLOW_CODE is 'maybe'"):
        settings()


def test_E6_without_namespaces_allowing_code_is_not_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("localkit.evals.scorers.code.isolation", lambda: "guard")
    refused = score(Code(), "pass", tests="pass")
    assert refused.value is None
    assert "guarded" in refused.why


class TestWhatIsTakenForCode:
    @pytest.fixture(autouse=True)
    def either_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOCALKIT_ALLOW_CODE", "guarded")
        settings.cache_clear()

    def test_the_block_that_defines_the_function(self) -> None:
        text = (
            "Like so:\n```python\nx = 1\n```\nor\n```python\ndef f(n):\n"
            "    return n + 1\n```\nrun\n```sh\nrm -rf /\n```"
        )
        tests = "def check(candidate):\n    assert candidate(1) == 2"
        scored = score(Code(), text, tests=tests, entry_point="f")
        assert scored.value == 1
        assert scored.extracted == "def f(n):\n    return n + 1\n"

    def test_an_answer_without_a_fence_and_one_that_was_cut(self) -> None:
        assert score(Code(), "x = 1", tests="assert x == 1").value == 1
        assert score(Code(), "```python\nx = 1\n", tests="assert x == 1").value == 1

    def test_a_completion_goes_on_where_the_prompt_ends(self) -> None:
        scored = score(
            Code(mode="completion"),
            "    return n + 1\n\ndef g(): 1/0\ng()",
            prompt="def f(n):\n",
            tests=["assert f(1) == 2", "assert f(2) == 3"],
        )
        assert scored.value == 1
        assert "1/0" not in scored.extracted

    def test_rows_without_tests_or_with_a_hostile_name_are_unscored(self) -> None:
        assert score(Code(), "x = 1").value is None
        hostile = score(Code(), "x", tests="pass", entry_point="f); import os; (f")
        assert hostile.value is None


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="0 s"):
        Code(timeout_s=0)
    with pytest.raises(UsageError, match="mode block"):
        Code(mode="file")  # type: ignore[arg-type]
