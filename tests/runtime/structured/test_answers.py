"""What a real model says under a structure, at temperature 1 and without a filter."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from localkit.runtime.params import Structure
from localkit.runtime.structured.compiler import Compiler
from localkit.runtime.structured.forms import as_structure
from tests.runtime.structured.answering import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_ANSWERS = 20
MAX_TOKENS = 100
PROMPT = (
    "<|im_start|>user\nDescribe a person as JSON.<|im_end|>\n<|im_start|>assistant\n"
)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 30},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}},
        "height": {"type": "number", "exclusiveMinimum": 0},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
PERSON["properties"]["tags"]["maxItems"] = 3  # type: ignore[index]
UNION = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "x"}, "n": {"type": "number"}},
            "required": ["kind", "n"],
        },
        {"type": "array", "items": {"type": ["boolean", "null"]}, "maxItems": 3},
        {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    ]
}
MAP = {
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9},
    "maxProperties": 3,
}
CHOICES = ["yes", "no", "I do not know"]
SUM = 'root ::= term ([-+*] term)? "=" [0-9]{1,3}\nterm ::= [0-9]{1,3} | "(" root ")"'


@pytest.fixture(scope="module")
def answering(smollm2_gguf: Path) -> Iterator[tuple[Model, Compiler]]:
    n_ctx = N_ANSWERS * (MAX_TOKENS + 64)
    model = Model(smollm2_gguf, n_answers=N_ANSWERS, n_ctx=n_ctx)
    compiler = Compiler(model.vocabulary)
    yield model, compiler
    compiler.close()
    model.close()


def fits(schema: dict[str, Any], text: str) -> bool:
    return not list(
        jsonschema.Draft202012Validator(schema).iter_errors(json.loads(text))
    )


def balanced(text: str) -> bool:
    return bool(re.fullmatch(r"[-+*=0-9()]+", text)) and text.count("(") == text.count(
        ")"
    )


@pytest.mark.model
@pytest.mark.parametrize(
    ("structure", "valid"),
    [
        (as_structure(PERSON), lambda text: fits(PERSON, text)),
        (as_structure(UNION), lambda text: fits(UNION, text)),
        (as_structure(MAP), lambda text: fits(MAP, text)),
        (Structure("json"), lambda text: isinstance(json.loads(text), dict)),
        (as_structure(CHOICES), CHOICES.__contains__),
        (
            as_structure(re.compile(r"[A-Z][a-z]{2,9} is \d{1,3} years old\.")),
            lambda text: re.fullmatch(r"[A-Z][a-z]{2,9} is \d{1,3} years old\.", text),
        ),
        (Structure("gbnf", SUM), balanced),
    ],
    ids=["person", "union", "map", "json", "choice", "regex", "gbnf"],
)
def test_every_finished_answer_at_temperature_1_is_valid(
    answering: tuple[Model, Compiler], structure: Structure, valid: Any
) -> None:
    model, compiler = answering
    grammar = compiler.compile(structure)
    constraints = [grammar.start() for _ in range(N_ANSWERS)]
    answers = model.answer(PROMPT, constraints, seed=1, max_tokens=MAX_TOKENS)
    # An answer that max_tokens cut off is not counted: it is a part of a valid one.
    finished = [answer.text for answer in answers if answer.complete]
    assert len(finished) >= N_ANSWERS // 5
    assert [text for text in finished if not valid(text)] == []


@pytest.mark.model
def test_masks_cost_under_a_twentieth_of_decode(
    answering: tuple[Model, Compiler],
) -> None:
    model, compiler = answering
    text = json.dumps({"name": "Ada Lovelace", "age": 36, "tags": ["a", "b"]})
    tokens = model.vocabulary.tokenize(text, add_special=False)
    grammar = compiler.compile(as_structure(PERSON))
    logits = np.zeros(model.vocabulary.n_tokens, np.float32)
    masks, decodes = [], []
    model.forget()
    for _ in range(3):
        constraint = grammar.start()
        for token in tokens:
            start = time.perf_counter()
            constraint.mask(logits)
            constraint.accept(token)
            masks.append(time.perf_counter() - start)
    for position, token in enumerate(tokens):
        start = time.perf_counter()
        model._decode([(token, position, [0])])
        decodes.append(time.perf_counter() - start)
    # Medians: another process may take the core in the midst of either.
    assert np.median(masks) < 0.05 * np.median(decodes)
