from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from localkit.errors import GrammarInvalid, SessionClosed
from localkit.runtime.params import Structure
from localkit.runtime.structured.compiler import Compiler
from localkit.runtime.structured.forms import as_structure
from tests.runtime.structured.answering import Model

if TYPE_CHECKING:
    from pathlib import Path


def accepts(compiler: Compiler, structure: Structure, text: str) -> bool:
    """Return whether the whole of ``text`` is an answer."""
    constraint = compiler.compile(structure).start()
    vocabulary = compiler._vocabulary
    tokens = vocabulary.tokenize(text, add_special=False)
    if constraint.allows(tokens) < len(tokens):
        return False
    for token in tokens:
        constraint.accept(token)
    end = next(t for t in range(vocabulary.n_tokens) if vocabulary.ends_generation(t))
    try:
        constraint.accept(end)
    except RuntimeError:
        return False
    except Exception as error:
        if "forbids it" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("structure", "good", "bad"),
    [
        (
            Structure("json"),
            ['{"a": [1, {"b": null}]}', "{}", '{\n  "a": 1\n}'],
            ["[1]", '{"a"}', "{} ", '{"a":   1}'],
        ),
        (
            as_structure({"type": "array", "items": {"enum": [1, "x"]}}),
            ["[]", '[1, "x"]'],
            ["[2]", "{}"],
        ),
        (Structure("regex", r"\d{2}/[a-z]+"), ["12/ab"], ["1/ab", "12/", "x12/ab"]),
        (Structure("regex", ""), [""], ["a"]),
        (
            as_structure(["yes", "no", 'a "quoted"\n/\\']),
            ["no", 'a "quoted"\n/\\'],
            [""],
        ),
        (as_structure(["a", "ab", "b"]), ["a", "ab"], ["abb", ""]),
        (Structure("gbnf", 'root ::= "a" root "b" | "."'), ["aa.bb"], ["aa.b"]),
        (Structure("lark", 'start: "a" B\nB: /[0-9]+/'), ["a12"], ["a", "12"]),
    ],
)
def test_each_kind_allows_its_texts_and_no_other(
    words: Compiler, structure: Structure, good: list[str], bad: list[str]
) -> None:
    assert [text for text in good if not accepts(words, structure, text)] == []
    assert [text for text in bad if accepts(words, structure, text)] == []


class Leaf(BaseModel):
    kind: str
    weights: dict[str, float] = {}


class Tree(BaseModel):
    name: str
    left: Tree | Leaf | None = None
    tags: list[str] = []


def test_a_recursive_pydantic_model_is_followed(words: Compiler) -> None:
    tree = Tree(name="a", left=Tree(name="b", left=Leaf(kind="c", weights={"d": 1.5})))
    structure = as_structure(Tree)
    assert accepts(words, structure, tree.model_dump_json())
    assert not accepts(words, structure, '{"name": 1}')


def test_a_schema_cannot_choose_to_be_followed_loosely(words: Compiler) -> None:
    loose = {"x-guidance": {"lenient": True}, "type": "object", "not": {"a": 1}}
    with pytest.raises(GrammarInvalid, match="not"):
        words.compile(as_structure(loose))


@pytest.mark.parametrize(
    ("structure", "said"),
    [
        (Structure("json_schema", "{"), "the schema is not JSON: .* line 1"),
        (Structure("json_schema", '{"type": "strin"}'), "Invalid type: strin"),
        (Structure("json_schema", '{"if": {}}'), r"Unimplemented keys: \[\"if\"\]"),
        (Structure("json_schema", '{"oneOf": [{}, {}]}'), "write anyOf"),
        (Structure("json_schema", "[]"), r"the schema is \[\], not an object"),
        (Structure("regex", "(abc"), "unclosed group"),
        (Structure("regex", "(?=a)b"), "look-around"),
        (Structure("choice", "[]"), "the choices are empty"),
        (Structure("choice", "[1]"), "no list of str"),
        (Structure("gbnf", 'root ::= "a"\nb ::= "'), "line 2 .* a text is not closed"),
        (Structure("lark", "start: b\nb: c"), 'line 2: unknown name: "c"'),
        (Structure("lark", "start: <|im_start|>"), r"names the token <\|im_start\|>"),
        (Structure("lark", "start: <[1]>"), r"names the token <\[1\]>"),
        (Structure("regex", r"[^\s\S]"), "no token of this model fits"),
        (Structure("xml", ""), "'xml' is no kind"),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused_is_refused_with_its_reason(
    words: Compiler, structure: Structure, said: str
) -> None:
    with pytest.raises(GrammarInvalid, match=said) as caught:
        words.compile(structure)
    assert caught.value.hint
    assert len(caught.value.one_line()) < 400


def test_a_special_token_hidden_from_the_check_is_still_refused(
    words: Compiler,
) -> None:
    # The quote that the check takes for the beginning of a text is a comment's.
    hidden = 'start: a // "\na: <[1]> // "\n'
    with pytest.raises(GrammarInvalid):
        words.compile(Structure("lark", hidden))


def test_a_grammar_is_kept_for_the_next_answer(words: Compiler) -> None:
    structure = Structure("regex", "[ab]+")
    first = words.compile(structure)
    assert words.compile(Structure("regex", "[ab]+")) is first
    for number in range(20):
        words.compile(Structure("regex", f"[ab]{{{number},}}"))
    assert words.compile(structure) is not first


def test_many_threads_may_compile(words: Compiler) -> None:
    schemas = [{"type": "object", "properties": {f"p{n}": {}}} for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        grammars = list(
            threads.map(lambda schema: words.compile(as_structure(schema)), schemas)
        )
    for schema, grammar in zip(schemas, grammars, strict=True):
        name = next(iter(schema["properties"]))
        text = json.dumps({name: 1})
        tokens = words._vocabulary.tokenize(text, add_special=False)
        assert grammar.start().allows(tokens) == len(tokens)


def test_nothing_compiles_after_the_model_is_unloaded(tiny_gguf: Path) -> None:
    model = Model(tiny_gguf)
    compiler = Compiler(model.vocabulary)
    compiler.compile(Structure("json"))
    compiler.close()
    model.close()
    with pytest.raises(SessionClosed):
        compiler.compile(Structure("json"))
