"""R8: no grammar, schema or pattern kills or stalls the process.

All are compiled in one child, which reports on each: a stack overflow or an abort
would show as its exit code, and not take the tests down.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pytest

from localkit.errors import GrammarInvalid, LocalkitError
from localkit.runtime.params import Structure

if TYPE_CHECKING:
    from pathlib import Path

# A quiet machine needs 0.1 s for the worst.
_MAX_S = 2.0
_N_TOKENS = 60


def _nested(depth: int) -> str:
    schema = '{"type": "string"}'
    for _ in range(depth):
        schema = '{"type": "array", "items": ' + schema + "}"
    return schema


def _reference_chain(n: int, wrap: int = 0) -> str:
    """Return definitions that lead from each to the next, ``wrap`` levels deep."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for number in range(1, n):
        inner: Any = {"$ref": f"#/$defs/d{number - 1}"}
        for _ in range(wrap):
            inner = {"anyOf": [{"type": "null"}, {"allOf": [inner]}]}
        definitions[f"d{number}"] = inner
    return json.dumps({"$defs": definitions, "$ref": f"#/$defs/d{n - 1}"})


def _rule_chain(n: int, sign: str = ":", first: str = "start") -> str:
    rules = [f'{first}{sign} r0 "x"']
    rules += [f'r{i}{sign} ("x" | (r{i + 1} "y"))' for i in range(n)]
    return "\n".join([*rules, f'r{n}{sign} "a" | "(" {first} ")"'])


def _doubling(n: int, upper: str) -> str:
    rules = [f"start: {upper}0"] + [
        f"{upper}{i}: {upper}{i + 1} {upper}{i + 1}" for i in range(n)
    ]
    return "\n".join([*rules, f'{upper}{n}: "a" | "b"'])


def _object(n: int, *, required: bool) -> str:
    names = [f"p{i}" for i in range(n)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
    }
    return json.dumps(schema | ({"required": names} if required else {}))


# name: (kind, text, whether it must be refused before the first token)
HOSTILE: dict[str, tuple[str, str, bool]] = {
    "reference to itself": ("json_schema", '{"$ref": "#"}', True),
    "references in a circle": (
        "json_schema",
        '{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},'
        ' "$ref": "#/$defs/a"}',
        True,
    ),
    "all of itself": ("json_schema", '{"allOf": [{"$ref": "#"}, {}]}', True),
    "any of itself": ("json_schema", '{"anyOf": [{"$ref": "#"}, {}]}', False),
    "must hold itself": (
        "json_schema",
        '{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}',
        False,
    ),
    "300 references": ("json_schema", _reference_chain(300), False),
    "1500 references": ("json_schema", _reference_chain(1500), True),
    "60 references of 90 levels": ("json_schema", _reference_chain(60, 22), True),
    "nested 45 deep": ("json_schema", _nested(45), False),
    "nested 1000 deep": ("json_schema", _nested(1000), True),
    "brackets without end": ("json_schema", "[" * 60_000, True),
    "quotes without end": ("json_schema", '"\\"' * 20_000, True),
    "400 optional properties": ("json_schema", _object(400, required=False), False),
    "401 properties": ("json_schema", _object(401, required=True), True),
    "product of choices": (
        "json_schema",
        json.dumps(
            {
                "allOf": [
                    {"anyOf": [{"properties": {f"{i}{j}": {}}} for j in range(4)]}
                    for i in range(12)
                ]
            }
        ),
        True,
    ),
    "a million items": (
        "json_schema",
        '{"type": "array", "items": {}, "minItems": 1000000}',
        False,
    ),
    "multiple of a large prime": (
        "json_schema",
        '{"type": "integer", "multipleOf": 982451653}',
        True,
    ),
    "reference to a file": ("json_schema", '{"$ref": "file:///etc/passwd"}', True),
    "reference to a server": ("json_schema", '{"$ref": "http://localhost/x"}', True),
    "half a surrogate pair": ("json_schema", '{"const": "\ud800"}', True),
    "too many bytes": ("json_schema", json.dumps({"enum": ["x" * 70_000]}), True),
    "repetition of repetitions": ("regex", "(((a{1,1000}){1,1000}){1,1000})b", False),
    "a billion times": ("regex", "a{1000000000}", False),
    "many states": ("regex", "(a|b)*a(a|b){200}", False),
    "unicode classes": ("regex", r"\p{L}{1,5000}x\p{L}{1,5000}", False),
    "stars in stars": ("regex", "((((a*)*)*)*)*b", False),
    "30,000 groups": ("regex", "(" * 30_000 + "a" + ")" * 30_000, True),
    "look-behind": ("regex", "(?<=a)b", True),
    "matches nothing": ("regex", r"[^\s\S]", True),
    "10,000 choices": ("choice", json.dumps([str(n) for n in range(8000)]), False),
    "calls itself first": ("lark", 'start: start "a" | "a"', False),
    "calls only itself": ("lark", "start: start", True),
    "never ends": ("lark", 'start: "a" start', False),
    "ambiguous": ("lark", 'start: x\nx: x x x | "a" | ""', False),
    "200 rules": ("lark", _rule_chain(200), False),
    "2000 rules": ("lark", _rule_chain(2000), True),
    "doubling rules": ("lark", _doubling(40, "r"), False),
    "doubling lexemes": ("lark", _doubling(40, "R"), True),
    "counted rules": ("lark", 'start: ("a"{1,1000}){1,1000}', False),
    "50 rounds of 900 braces": (
        "lark",
        "start: %json " + _reference_chain(40, 20) + "\n",
        True,
    ),
    "names a control token": ("lark", "start: <|im_start|>", True),
    "names a token by number": ("lark", "start: <[1]>", True),
    "names all tokens": ("lark", "start: <[*]>+", True),
    "reads a file": ("lark", "%import .secrets (X)\nstart: X", True),
    "no grammar at all": ("lark", "\x00\x01{{{", True),
    "another format": ("lark", '{"grammars": [{"json_schema": {}}]}', True),
    "GBNF, 200 rules": ("gbnf", _rule_chain(200, " ::=", "root"), False),
    "GBNF, 2000 rules": ("gbnf", _rule_chain(2000, " ::=", "root"), True),
    "GBNF, calls only itself": ("gbnf", "root ::= root", True),
    "GBNF, nested groups": ("gbnf", "root ::= " + "(" * 900, True),
    "GBNF, stars in stars": ("gbnf", 'root ::= ((("a"*)*)*)* root | "b"', False),
    "GBNF, counted": ("gbnf", 'root ::= (("a"{1,900}){1,900}){1,900} root "b"', False),
    "GBNF, comments without end": ("gbnf", "root ::= " + "# \n " * 4000, False),
    "GBNF, unclosed": ("gbnf", 'root ::= "a', True),
}


class _Report(TypedDict):
    refused: str
    """The error's text, if it was refused before the first token."""
    compile_s: float
    worst_step_s: float
    answer: str
    """How the answer went on: ``open``, ``finished`` or an error's text."""


def _try_all(path: str) -> None:
    """Compile and follow each with random tokens; print a line of JSON a name."""
    import time
    from pathlib import Path

    from localkit.runtime.structured.compiler import Compiler
    from tests.runtime.structured.answering import Model

    model = Model(Path(path))
    compiler = Compiler(model.vocabulary)
    compiler.compile(Structure("json"))
    rng = np.random.default_rng(0)
    for name, (kind, text, _) in HOSTILE.items():
        report = _Report(refused="", compile_s=0, worst_step_s=0, answer="open")
        start = time.perf_counter()
        try:
            constraint = compiler.compile(Structure(kind, text)).start()  # type: ignore[arg-type]
        except GrammarInvalid as error:
            report["refused"] = error.one_line()
        report["compile_s"] = time.perf_counter() - start
        if not report["refused"]:
            try:
                for _ in range(_N_TOKENS):
                    logits = np.zeros(model.vocabulary.n_tokens, np.float32)
                    start = time.perf_counter()
                    constraint.mask(logits)
                    token = int(rng.choice(np.flatnonzero(logits == 0)))
                    constraint.accept(token)
                    took = time.perf_counter() - start
                    report["worst_step_s"] = max(report["worst_step_s"], took)
                    if constraint.finished:
                        report["answer"] = "finished"
                        break
            except LocalkitError as error:
                report["answer"] = f"{type(error).__name__}: {error.one_line()}"
        sys.stdout.write(json.dumps([name, report]) + "\n")
        sys.stdout.flush()


@pytest.fixture(scope="module")
def reports(tiny_gguf: Path) -> dict[str, _Report]:
    """Return what became of each, as far as the child came."""
    program = "import sys, tests.security.test_grammars as t; t._try_all(sys.argv[1])"
    child = subprocess.run(
        [sys.executable, "-c", program, str(tiny_gguf)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = dict(json.loads(line) for line in child.stdout.splitlines())
    missing = [name for name in HOSTILE if name not in found]
    assert child.returncode == 0, f"died of '{missing[0]}': {child.stderr[-500:]}"
    return found


@pytest.mark.parametrize("name", HOSTILE)
def test_R8_a_hostile_structure_neither_kills_nor_stalls(
    reports: dict[str, _Report], name: str
) -> None:
    report = reports[name]
    assert report["compile_s"] < _MAX_S
    assert report["worst_step_s"] < _MAX_S
    ended = report["answer"].partition(":")[0]
    assert ended in {"open", "finished", "GrammarInvalid"}


@pytest.mark.parametrize("name", [name for name in HOSTILE if HOSTILE[name][2]])
def test_R8_what_cannot_be_followed_is_refused_in_one_line(
    reports: dict[str, _Report], name: str
) -> None:
    refused = reports[name]["refused"]
    assert "→" in refused
    assert 20 < len(refused) < 400
    assert "panic" not in refused


@pytest.mark.parametrize("name", [name for name in HOSTILE if not HOSTILE[name][2]])
def test_R8_what_is_only_large_is_followed(
    reports: dict[str, _Report], name: str
) -> None:
    assert reports[name]["refused"] == ""
