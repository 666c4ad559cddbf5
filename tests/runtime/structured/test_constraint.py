from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from localkit.errors import GrammarInvalid, RuntimeFailure
from localkit.runtime.params import Structure
from localkit.runtime.structured.constraint import Masker

if TYPE_CHECKING:
    from localkit.runtime.structured.compiler import Compiler
    from localkit.runtime.structured.constraint import Constraint
    from localkit.runtime.vocabulary import Vocabulary


def vocabulary(compiler: Compiler) -> Vocabulary:
    return compiler._vocabulary


def tokens(compiler: Compiler, text: str) -> list[int]:
    return vocabulary(compiler).tokenize(text, add_special=False)


def allowed(compiler: Compiler, constraint: Constraint) -> set[int]:
    logits = np.zeros(vocabulary(compiler).n_tokens, np.float32)
    constraint.mask(logits)
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


def ends(compiler: Compiler) -> set[int]:
    words = vocabulary(compiler)
    return {token for token in range(words.n_tokens) if words.ends_generation(token)}


def start(compiler: Compiler, kind: str, text: str = "") -> Constraint:
    return compiler.compile(Structure(kind, text)).start()  # type: ignore[arg-type]


def say_until_refused(compiler: Compiler, constraint: Constraint) -> None:
    for _ in range(2000):
        allowed(compiler, constraint)
        say(compiler, constraint, "a")


def say(compiler: Compiler, constraint: Constraint, text: str) -> None:
    for token in tokens(compiler, text):
        constraint.accept(token)


def test_the_end_is_allowed_only_where_the_structure_may_end(words: Compiler) -> None:
    constraint = start(words, "choice", '["hello", "hello world"]')
    assert not allowed(words, constraint) & ends(words)
    say(words, constraint, "hello")
    assert ends(words) < allowed(words, constraint)
    finished_early = constraint.finished
    say(words, constraint, " world")
    assert (finished_early, constraint.finished) == (False, True)
    assert allowed(words, constraint) == ends(words)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("regex", "(?s).*"), ("lark", "start: /(?s:.)*/"), ("gbnf", "root ::= .*")],
)
def test_no_control_token_is_allowed_where_any_text_is(
    words: Compiler, kind: str, text: str
) -> None:
    control = set(vocabulary(words).control_tokens.values()) - ends(words)
    constraint = start(words, kind, text)
    assert control
    assert not allowed(words, constraint) & control
    say(words, constraint, "<|im_start|>")  # as text it is text
    assert not allowed(words, constraint) & control


def test_the_mask_allows_exactly_the_tokens_that_can_be_accepted(
    words: Compiler,
) -> None:
    constraint = start(words, "json_schema", '{"type": "integer", "minimum": 7}')
    for digit in ("1", "2"):
        for token in range(vocabulary(words).n_tokens):
            trial = constraint.clone()
            if token in allowed(words, constraint):
                trial.accept(token)
            else:
                with pytest.raises(RuntimeFailure):
                    trial.accept(token)
        say(words, constraint, digit)


def test_masking_keeps_the_logits_of_allowed_tokens() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 31, 32, 33, 281, 5000):
        keep = rng.random(n) < 0.5
        flags = np.zeros(-(-n // 32) * 32, bool)
        flags[:n] = keep
        bits = np.packbits(flags, bitorder="little").view(np.uint32)
        logits = rng.normal(size=n).astype(np.float32)
        expected = np.where(keep, logits, -np.inf)
        Masker(n).apply(bits, logits)
        np.testing.assert_array_equal(logits, expected)


def test_a_token_that_the_mask_forbids_is_an_engine_bug(words: Compiler) -> None:
    constraint = start(words, "choice", '["hello"]')
    with pytest.raises(RuntimeFailure, match="forbids it"):
        say(words, constraint, "x")


def test_the_end_before_the_structure_may_end_is_an_engine_bug(words: Compiler) -> None:
    constraint = start(words, "choice", '["hello"]')
    with pytest.raises(RuntimeFailure, match="forbids it"):
        constraint.accept(min(ends(words)))


@pytest.mark.parametrize("text", ["hello", "hello world"])
@pytest.mark.parametrize("with_end", [False, True])
def test_tokens_taken_back_can_be_said_again(
    words: Compiler, text: str, with_end: bool
) -> None:
    constraint = start(words, "choice", '["hello", "hello world"]')
    ids = tokens(words, text)
    seen = []
    for token in ids:
        seen.append(allowed(words, constraint))
        constraint.accept(token)
    if with_end:
        constraint.accept(min(ends(words)))
        assert constraint.finished
        seen.append(allowed(words, constraint))
        constraint.rollback(1)
        seen.pop()
    for at in reversed(range(len(ids))):
        constraint.rollback(1)
        assert allowed(words, constraint) == seen[at]
    say(words, constraint, text)


def test_more_tokens_cannot_be_taken_back_than_were_said(words: Compiler) -> None:
    constraint = start(words, "choice", '["hello"]')
    with pytest.raises(RuntimeFailure, match="rollback of 1"):
        constraint.rollback(1)


def test_a_clone_goes_its_own_way(words: Compiler) -> None:
    constraint = start(words, "choice", '["hello", "hell"]')
    say(words, constraint, "hell")
    copy = constraint.clone()
    say(words, copy, "o")
    assert copy.finished
    assert not constraint.finished
    constraint.rollback(1)


def test_forced_tokens_are_how_the_model_writes_the_only_text(words: Compiler) -> None:
    constraint = start(words, "regex", "the world( and the world)?")
    forced = constraint.forced()
    assert forced == tokens(words, "the world")[: len(forced)]
    assert forced
    for token in forced:
        constraint.accept(token)
    for token in tokens(words, "the world")[len(forced) :]:
        constraint.accept(token)
    assert ends(words) <= allowed(words, constraint)


def test_drafted_tokens_are_counted_up_to_the_first_wrong_one(words: Compiler) -> None:
    constraint = start(words, "regex", "[a-d]{4}")
    assert constraint.allows(tokens(words, "abXd")) == len(tokens(words, "ab"))
    before = allowed(words, constraint)
    assert constraint.allows(tokens(words, "dbca")) == len(tokens(words, "dbca"))
    assert allowed(words, constraint) == before


def test_an_answer_that_outgrows_the_limits_says_after_how_many_tokens(
    words: Compiler,
) -> None:
    constraint = start(words, "lark", 'start: ("a"{1,1000}){1,1000}')
    with pytest.raises(GrammarInvalid, match=r"after \d+ tokens .* too complex"):
        say_until_refused(words, constraint)


def test_a_failed_answer_does_not_spoil_the_next(words: Compiler) -> None:
    for _ in range(2):
        constraint = start(words, "lark", 'start: ("a"{1,1000}){1,1000}')
        with pytest.raises(GrammarInvalid):
            say_until_refused(words, constraint)
    constraint = start(words, "lark", 'start: ("a"{1,1000}){1,1000}')
    assert tokens(words, "a")[0] in allowed(words, constraint)
