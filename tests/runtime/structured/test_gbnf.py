from __future__ import annotations

import pytest

from localkit.errors import GrammarInvalid
from localkit.runtime.structured.gbnf import Chars, Choice, Repeat, Rule, Text, read


def test_rules_are_read_as_llama_cpp_writes_them() -> None:
    rules = read(
        "# a comment\n"
        'root ::= (item-1 | "b\\n")+ # another\n'
        "item-1 ::=\n  [a-c\\x64-]\n"
    )
    assert rules == {
        "root": Repeat(Choice((Rule("item-1"), Text("b\n"))), 1, None),
        "item-1": Chars(((ord("-"), ord("-")), (ord("a"), ord("d")))),
    }


@pytest.mark.parametrize(
    ("times", "least", "most"),
    [("*", 0, None), ("+", 1, None), ("?", 0, 1), ("{3}", 3, 3), ("{2,}", 2, None)],
)
def test_repetitions_are_read(times: str, least: int, most: int | None) -> None:
    assert read(f"root ::= [a]{times}")["root"] == Repeat(
        Chars(((97, 97),)), least, most
    )


def test_a_negated_set_is_everything_else_that_utf8_holds() -> None:
    assert read(r"root ::= [^\u0041-\U0010FFFF]")["root"] == Chars(((0, 0x40),))
    assert read("root ::= .")["root"] == Chars(((0, 0xD7FF), (0xE000, 0x10FFFF)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 .* no rule 'root'"),
        ('a ::= "b"', "no rule 'root'"),
        ("root ::= foo", "line 1 .* rule 'foo' is not defined"),
        ('root ::= "a"\n\nfoo = "b"', "line 3 .* '::=' is missing"),
        ('root ::= "a"\nroot ::= "b"', "line 2 .* there twice"),
        ('root ::= (("a" "b")', "a group is not closed"),
        ("root ::= [a-", "a set is not closed"),
        ("root ::= []", "a set is empty"),
        ("root ::= [z-a]", "the range z-a ends before it begins"),
        (r'root ::= "\q"', r"\\q is no character"),
        (r'root ::= "\uD800"', r"\\uD800 is no character"),
        (r'root ::= "\x4"', "is no character"),
        ('root ::= "\\', "is no character"),
        ('root ::= "a"{3,2}', "ends before it begins"),
        ('root ::= "a"{x}', "is no number of repetitions"),
        ('root ::= "a" <|im_end|>', "names a token"),
        ('root ::= "a" }', "is not understood"),
        ("root ::= " + "(" * 100 + '"a"' + ")" * 100, "nested deeper than 60"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(GrammarInvalid, match=said):
        read(text)
