from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from localkit.runtime.structured.gbnf import (
    Chars,
    Choice,
    Node,
    Repeat,
    Rule,
    Sequence,
    Text,
    read,
)
from localkit.runtime.structured.lark import to_lark

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" ["\\bfnrt] )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ws
ws     ::= | " " | "\n" [ \t]{0,20}
"""
ARITHMETIC = r"""
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""


class _Bytes:
    """A tokenizer with one token for each byte, as llguidance wants it."""

    is_tokenizer_wrapper = True
    eos_token_id = 0
    bos_token_id = None
    special_token_ids = (0,)
    tokens = (b"<eos>", *(bytes([byte]) for byte in range(256)))

    def __call__(self, text: str) -> list[int]:
        return [byte + 1 for byte in text.encode()]


BYTES = _Bytes()
TOKENIZER = LLTokenizer(BYTES)  # type: ignore[arg-type]


def accepts(gbnf: str, *texts: str) -> list[bool]:
    grammar = json.dumps({"grammars": [{"lark_grammar": to_lark(gbnf)}]})
    matcher = LLMatcher(TOKENIZER, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    said = []
    for text in texts:
        copy, tokens = matcher.deep_copy(), BYTES(text)
        whole = copy.try_consume_tokens(tokens) == len(tokens)
        said.append(whole and copy.is_accepting())
    return said


@pytest.mark.parametrize(
    ("gbnf", "good", "bad"),
    [
        (JSON, ['{"a": [1, 2.5, "x\\n"], "b":{}}', "{ }"], ["[", "{'a'}", '{"a":}']),
        (ARITHMETIC, ["1+2=3\n", "(a_1*2)/3 = 7\n\nx=x \n"], ["1+2=3", "1+=3\n"]),
        ('root ::= [a-z]+ "x"', ["abx", "xx"], ["ab"]),
        ('root ::= "(" root ")" | [a-z]+ "ab"', ["(xab)", "((aab))"], ["(xx)", "ab"]),
        ('root ::= a root | "."\na ::= "a" | "ab"\n', ["aab.", "."], ["b."]),
        ("root ::= . .", ["a\n", "é/"], ["a"]),
        ("root ::= [a&&b]+", ["a&b"], ["c"]),
        (r'root ::= "é" [^\u0041-\u00e8]', ["éé", 'é"'], ["éB"]),
        ('root ::= ""', [""], ["a"]),
    ],
)
def test_the_converted_grammar_allows_the_same_texts(
    gbnf: str, good: list[str], bad: list[str]
) -> None:
    assert accepts(gbnf, *good) == [True] * len(good)
    assert accepts(gbnf, *bad) == [False] * len(bad)


def _leaves(*, calls: bool) -> st.SearchStrategy[str]:
    simple = st.sampled_from(['"a"', '"b"', '"ab"', '"aba"', "[ab]", "[b]", '""'])
    return simple | st.sampled_from(["root", "other"]) if calls else simple


def _grammars(*, calls: bool) -> st.SearchStrategy[str]:
    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.tuples(inner, inner).map(" ".join)
            | st.tuples(inner, inner).map(lambda two: f"({two[0]} | {two[1]})")
            | st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}"])).map(
                lambda two: f"({two[0]}){two[1]}"
            )
        )

    return st.recursive(_leaves(calls=calls), larger, max_leaves=8)


def _derive(rules: dict[str, Node], node: Node, rng: random.Random, depth: int) -> str:
    """Return a text that a grammar allows; raises if it goes too deep."""
    if depth > 25:
        raise RecursionError
    match node:
        case Text(text):
            return text
        case Chars(ranges):
            return chr(rng.randint(*rng.choice(ranges)))
        case Rule(name):
            return _derive(rules, rules[name], rng, depth + 1)
        case Choice(items):
            return _derive(rules, rng.choice(items), rng, depth + 1)
        case Sequence(items):
            return "".join(_derive(rules, item, rng, depth + 1) for item in items)
        case Repeat(item, least, most):
            n = rng.randint(least, least + 2 if most is None else most)
            return "".join(_derive(rules, item, rng, depth + 1) for _ in range(n))


@settings(max_examples=200, deadline=None)
@given(
    root=_grammars(calls=True), other=_grammars(calls=False), seed=st.integers(0, 999)
)
def test_every_text_that_a_recursive_grammar_makes_is_allowed(
    root: str, other: str, seed: int
) -> None:
    # A way out that is no part of the texts above keeps `root` from being endless.
    gbnf = f'root ::= ({root}) | "."\nother ::= {other}'
    rules, rng = read(gbnf), random.Random(seed)
    texts = set()
    for _ in range(30):
        try:
            texts.add(_derive(rules, rules["root"], rng, 0))
        except RecursionError:
            continue
    short = [text for text in texts if len(text) < 60]
    assert accepts(gbnf, *short) == [True] * len(short)


@settings(max_examples=200, deadline=None)
@given(root=_grammars(calls=False), texts=st.lists(st.text("ab", max_size=8)))
def test_a_regular_grammar_allows_what_the_same_expression_matches(
    root: str, texts: list[str]
) -> None:
    pattern = re.compile(re.sub(r"[ \"]", "", root.replace('""', "(?:)")))
    expected = [pattern.fullmatch(text) is not None for text in texts]
    assert accepts(f"root ::= {root}", *texts) == expected
