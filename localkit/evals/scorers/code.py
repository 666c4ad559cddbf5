"""Code: what a model wrote, run against the tests of its sample.

It is the functional correctness of HumanEval (Chen et al. 2021): right if the tests
are run to their end. Epochs with ``pass@k`` make the figure of that paper of it.

The code runs in a child that has limits, no network and none of your files; see
`scorers.sandbox` and design/016. Nothing is run unless it was allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from localkit.config import AllowCode, settings
from localkit.errors import UsageError
from localkit.evals.scorers.protocol import Score
from localkit.evals.scorers.sandbox.run import Limits, isolation, run_tests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localkit.evals.scorers.protocol import Answer, Scorer, Surroundings
    from localkit.evals.tasks.sample import Sample

Mode = Literal["block", "completion"]

COMPLETION_ENDS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
"""Where a continued function is over: the stop texts of the HumanEval paper."""
_FENCE = re.compile(
    r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_PYTHON = frozenset({"", "py", "python", "python3"})
_CHECKS = re.compile(r"^def check\(", re.MULTILINE)
_NOT_ALLOWED = "running code was not allowed → pass allow_code=True, or set {}"


@dataclass(frozen=True, slots=True)
class Code:
    """1 if the code passes its tests, else 0."""

    mode: Mode = "block"
    """``block``: a fenced block of the answer, or all of it where there is none;
    ``completion``: the answer goes on where the prompt's code ends."""
    timeout_s: float = 10.0
    """Seconds for code and tests together."""
    memory_mb: int = 512
    """MiB of address space; numpy needs 2048."""
    tests: str = "tests"
    """Field of the row that holds the tests, a text or a list of lines."""
    entry_point: str = "entry_point"
    """Field with the name of the function, where tests define ``check(function)``."""
    prelude: str = "prelude"
    """Field with code to run before the answer's, where the row has one: imports."""
    ends: tuple[str, ...] = COMPLETION_ENDS
    """Texts that end a completion; not part of it."""
    name: str = "code"

    def __post_init__(self) -> None:
        """Refuse limits that make no sense."""
        object.__setattr__(self, "ends", tuple(self.ends))  # a list in a task file
        if not 0 < self.timeout_s <= 600 or not 64 <= self.memory_mb <= 1 << 20:
            msg = f"code gets {self.timeout_s:g} s and {self.memory_mb} MiB"
            raise UsageError(msg, hint="give it up to 600 s, and at least 64 MiB")
        if self.mode not in {"block", "completion"}:
            msg = f"code is taken from '{self.mode}'"
            raise UsageError(msg, hint="use mode block or completion")

    def definition(self) -> Mapping[str, Any]:
        """Return everything that may change a score."""
        return {
            "type": "code",
            "mode": self.mode,
            "timeout_s": self.timeout_s,
            "memory_mb": self.memory_mb,
            "fields": [self.tests, self.entry_point, self.prelude],
            "ends": list(self.ends) if self.mode == "completion" else [],
        }

    def score(
        self, sample: Sample, answer: Answer, surroundings: Surroundings
    ) -> Score:
        """Return 1 or 0; None where tests are missing, broken or not allowed."""
        refusal = refused(allow_code=surroundings.allow_code)
        if refusal:
            return Score(value=None, why=refusal)
        entry_point = str(sample.fields.get(self.entry_point) or "")
        if entry_point and not entry_point.isidentifier():
            return Score(value=None, why=f"'{entry_point[:80]}' names no function")
        tests = self._tests(sample, entry_point)
        if tests is None:
            return Score(value=None, why=f"the row has no tests in '{self.tests}'")
        written = self.extract(sample, answer.text, entry_point)
        prelude = _joined(sample.fields.get(self.prelude))
        code = f"{prelude}\n{written}" if prelude else written
        limits = Limits(timeout_s=self.timeout_s, memory_bytes=self.memory_mb << 20)
        verdict = run_tests(code, tests, limits=limits, cancel=surroundings.cancel)
        why = verdict.why
        if verdict.passed is False and answer.finish_reason == "length":
            why += " (the answer was cut at its token limit)"
        value = None if verdict.passed is None else float(verdict.passed)
        return Score(value=value, extracted=written, why=why)

    def extract(self, sample: Sample, text: str, entry_point: str) -> str:
        """Return the code in an answer."""
        if self.mode == "completion":
            cut = min((text.find(end) for end in self.ends if end in text), default=-1)
            return sample.prompt + (text if cut < 0 else text[:cut])
        blocks = [
            found[3] for found in _FENCE.finditer(text) if found[2].lower() in _PYTHON
        ]
        defines = re.compile(rf"^\s*(async\s+)?def {re.escape(entry_point)}\b", re.M)
        wanted = (block for block in blocks if entry_point and defines.search(block))
        return next(wanted, blocks[0] if blocks else text)

    def _tests(self, sample: Sample, entry_point: str) -> str | None:
        tests = _joined(sample.fields.get(self.tests))
        if not tests.strip():
            return None
        if entry_point and _CHECKS.search(tests):
            tests += f"\ncheck({entry_point})\n"
        return tests


def refused(*, allow_code: bool) -> str:
    """Return why code may not be run here; empty if it may."""
    allowed: AllowCode = settings().allow_code
    if allowed == "no" and not allow_code:
        return _NOT_ALLOWED.format("LOCALKIT_ALLOW_CODE=1")
    if allowed != "guarded" and isolation() != "namespaces":
        return (
            "this system cannot shut code in (no user namespaces) → run it in a "
            "container of its own, with LOCALKIT_ALLOW_CODE=guarded"
        )
    return ""


def require_allowed(scorers: Iterable[Scorer], *, allow_code: bool) -> None:
    """Refuse before anything is asked what could not be scored afterwards.

    Raises:
        UsageError: one of ``scorers`` runs code, and that is not allowed here.
    """
    if any(isinstance(scorer, Code) for scorer in scorers):
        why, _, hint = refused(allow_code=allow_code).partition(" → ")
        if why:
            raise UsageError(why, hint=hint)


def _joined(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return str(value)
