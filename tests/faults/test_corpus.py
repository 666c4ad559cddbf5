"""The corpus of hostile models, grammars and templates, in one process that lives."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from localkit.chat.messages import as_messages
from localkit.chat.template import ChatTemplate
from localkit.errors import (
    DoesNotFit,
    GGUFError,
    GrammarInvalid,
    LoadFailed,
    LocalkitError,
    TemplateError,
)
from localkit.gguf import read_info
from localkit.runtime.isolation.proving import ProvingRuntime
from localkit.runtime.llama import LlamaRuntime
from localkit.runtime.params import LoadParams, SamplingParams, Structure
from tests.fixtures.gguf import BOOL, FLOAT32, STRING, GGUFBuilder, tiny_llama, value
from tests.fixtures.malformed import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localkit.runtime.protocol import Session

pytestmark = pytest.mark.faults

PARAMS = LoadParams(n_ctx=128, n_threads=1)
_WHOLE = (0, 1, 7, 2**31 - 1, 2**32 - 1)
_REAL = (0.0, 1.0, 7.0, 2.0**31, float("nan"), float("inf"), -1.0)
# Fields that models have beyond those of the small llama; it loads with them.
_RARE = {
    "general.alignment": 32,
    "llama.attention.key_length": 16,
    "llama.attention.value_length": 16,
    "llama.attention.scale": 1.0,
    "llama.attention.sliding_window": 16,
    "llama.expert_count": 0,
    "llama.expert_used_count": 0,
    "llama.logit_scale": 1.0,
    "llama.rope.scaling.factor": 1.0,
    "llama.rope.scaling.type": "linear",
    "tokenizer.ggml.eot_token_id": 2,
}
GRAMMARS = {
    "json-schema-no-json": Structure("json_schema", "{"),
    "json-schema-no-object": Structure("json_schema", "[1]"),
    "json-schema-bad-type": Structure("json_schema", '{"type": "frob"}'),
    "json-schema-bad-ref": Structure("json_schema", '{"$ref": "#/$defs/none"}'),
    "json-schema-deep": Structure(
        "json_schema", '{"items":' * 9999 + "{}" + "}" * 9999
    ),
    "json-schema-huge": Structure("json_schema", '{"const": "' + "x" * 10**7 + '"}'),
    "regex-open": Structure("regex", "(a"),
    "regex-back-reference": Structure("regex", r"(a)\1"),
    "choice-none": Structure("choice", "[]"),
    "choice-no-list": Structure("choice", "{}"),
    "gbnf-no-root": Structure("gbnf", 'a ::= "x"'),
    "gbnf-unknown-rule": Structure("gbnf", "root ::= nobody"),
    "gbnf-left-recursion": Structure("gbnf", "root ::= root"),
    "gbnf-open-string": Structure("gbnf", 'root ::= "x'),
    "gbnf-binary": Structure("gbnf", "\0\xff"),
    "lark-open": Structure("lark", "start: ("),
}
# Sound, but without end: what they take is bounded while they are followed.
BOMBS = {
    "regex": Structure("regex", "((a{1,999}){1,999}){1,999}"),
    "regex-lazy": Structure("regex", "(a|aa|aaa)*b(a|aa|aaa)*"),
    "gbnf": Structure("gbnf", 'root ::= a a a a\na ::= b b b b\nb ::= "x"* "y"*'),
}
TEMPLATES = {
    "syntax": "{% for",
    "escape": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "raises": "{{ raise_exception('no') }}",
    "loop": "{% for i in range(99999) %}{% for j in range(99999) %}"
    "{% endfor %}{% endfor %}",
    "memory": "{{ 'a' * 2000000000 }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
}


@pytest.fixture(scope="module", autouse=True)
def the_same_process_to_the_end() -> Iterator[None]:
    pid, n_threads = os.getpid(), threading.active_count()
    before = psutil.Process().children()  # a registry that other files of tests use
    yield
    assert os.getpid() == pid
    assert threading.active_count() <= n_threads
    assert set(psutil.Process().children()) <= set(before)


def _load(path: Path) -> Session:
    return ProvingRuntime(LlamaRuntime()).load(read_info(path), PARAMS)


def _use(path: Path) -> LocalkitError | None:
    """Load the file and answer with it, as a cell would; return what was raised."""
    try:
        session = _load(path)
    except LocalkitError as error:
        return error
    try:
        session.stream(session.tokenize("hello"), SamplingParams(max_tokens=4)).wait()
    except LocalkitError as error:
        return error
    finally:
        session.close()
    return None


def test_G1_every_malformed_file_is_refused_in_words_of_its_own(
    tmp_path: Path,
) -> None:
    told: dict[str, str] = {}
    for name, malformed in MALFORMED.items():
        path = tmp_path / "model.gguf"
        path.write_bytes(malformed.build())
        error = _use(path)
        assert isinstance(error, GGUFError), name
        assert malformed.says in str(error), name
        assert error.hint, name
        told[str(error)] = name
    assert len(told) == len(MALFORMED)


def _mutants() -> Iterator[tuple[str, bytes]]:
    """Yield models of which one field has another value, by its name."""
    base = tiny_llama(n_layers=1, metadata=_RARE)
    for key, original in base.keys:
        type_id = int.from_bytes(original[:4], "little")
        if type_id > STRING:  # the vocabulary's arrays
            continue
        values: tuple[object, ...] = _WHOLE
        if type_id == STRING:
            values = ("zzz", "")
        elif type_id == BOOL:
            values = (False, True)
        elif type_id == FLOAT32:
            values = _REAL
        for item in values:
            mutant = GGUFBuilder()
            mutant.keys = [
                (k, value(item) if k == key else raw) for k, raw in base.keys
            ]
            mutant.table, mutant.data = base.table, base.data
            yield f"{key!s} = {item}", mutant.build()


@pytest.mark.timeout(400)
def test_G5_every_mutated_model_is_refused_by_name_or_answers(tmp_path: Path) -> None:
    told: dict[str, list[str]] = {}
    n_refused = n_answered = 0
    for name, data in _mutants():
        path = tmp_path / "model.gguf"
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        error = _use(path)
        if error is None:
            n_answered += 1
            continue
        n_refused += 1
        assert isinstance(error, GGUFError | LoadFailed | DoesNotFit), name
        assert error.hint, name
        if isinstance(error, GGUFError):
            # The changed field, or one that it no longer agrees with.
            assert error.field in str(error), name
            assert error.field, name
        told.setdefault(str(error), []).append(name)
    assert n_refused > 60
    assert n_answered > 40
    assert {text: names for text, names in told.items() if len(names) > 1} == {}


def test_R8_every_hostile_grammar_is_refused_before_anything_is_computed(
    tiny_gguf: Path,
) -> None:
    session = _load(tiny_gguf)
    n_computed = session.activity.n_computed
    told: set[str] = set()
    for name, structure in GRAMMARS.items():
        with pytest.raises(GrammarInvalid) as caught:
            session.stream([5], SamplingParams(structure=structure))
        assert caught.value.hint, name
        told.add(str(caught.value))
    assert len(told) == len(GRAMMARS)
    assert session.activity.n_computed == n_computed
    assert session.stream([5], SamplingParams(max_tokens=2)).wait().tokens
    session.close()


def test_R8_a_grammar_without_end_costs_no_more_than_an_answer(
    tiny_gguf: Path,
) -> None:
    session = _load(tiny_gguf)
    for name, structure in BOMBS.items():
        start = time.process_time()
        stream = session.stream([5], SamplingParams(structure=structure, max_tokens=8))
        with suppress(GrammarInvalid):
            stream.wait()
        assert time.process_time() - start < 2, name
    session.close()


def test_R5_every_hostile_template_is_refused_in_words_of_its_own() -> None:
    told: set[str] = set()
    for source in TEMPLATES.values():
        with pytest.raises(TemplateError) as caught:
            ChatTemplate(source).render(as_messages("hello"))
        told.add(str(caught.value))
    assert len(told) == len(TEMPLATES)
