"""Structures compiled for one model, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from localkit.errors import GrammarInvalid, SessionClosed
from localkit.runtime.structured.constraint import Constraint, Masker
from localkit.runtime.structured.limits import parser_limits
from localkit.runtime.structured.reasons import reason
from localkit.runtime.structured.sources import name, source
from localkit.runtime.structured.tokens import read_tokens

if TYPE_CHECKING:
    from localkit.runtime.params import Structure
    from localkit.runtime.structured.tokens import Tokens
    from localkit.runtime.vocabulary import Vocabulary

# A kept grammar has its automaton ready, and answers add to it: at most 50,000 states
# of 1 kB (measured with 262k tokens); a schema of the usual kind has some hundreds.
_N_KEPT = 8


class Grammar:
    """A compiled structure; every answer starts its own constraint."""

    def __init__(self, matcher: Any, tokens: Tokens, masker: Masker) -> None:
        """Keep a matcher at its beginning.

        Raises:
            GrammarInvalid: nothing may come first.
        """
        self.spent = False
        """Whether an answer failed: its automaton, which all share, may be full."""
        self._first = Constraint(matcher, tokens, masker, self._spend)
        self._first.check()

    def start(self) -> Constraint:
        """Return the state of an answer that has no token yet."""
        return self._first.clone()

    def _spend(self) -> None:
        self.spent = True


class Compiler:
    """Structures of one loaded model's answers. Any thread may compile."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Keep the vocabulary; it is read at the first compilation."""
        self._vocabulary = vocabulary
        self._tokens: Tokens | None = None
        self._masker = Masker(vocabulary.n_tokens)
        self._kept: OrderedDict[Structure, Grammar] = OrderedDict()
        self._closed = False
        # Guards the three above; held while compiling, so that the model, which
        # llguidance calls for its tokenizer, is not freed meanwhile.
        self._lock = threading.Lock()

    def compile(self, structure: Structure) -> Grammar:
        """Return the grammar of ``structure``.

        Raises:
            GrammarInvalid: it cannot be compiled or nothing satisfies it; says why.
            Unsupported: this model's tokenizer does not allow it.
            SessionClosed: the model was unloaded.
        """
        with self._lock:
            if self._closed:
                msg = "the model was unloaded"
                raise SessionClosed(msg, hint="load it again with `localkit.load(...)`")
            grammar = self._kept.get(structure)
            if grammar is None or grammar.spent:
                grammar = self._compile(structure)
                self._kept[structure] = grammar
            self._kept.move_to_end(structure)
            if len(self._kept) > _N_KEPT:
                self._kept.popitem(last=False)
            return grammar

    def close(self) -> None:
        """Compile no more; call it before the model is freed."""
        with self._lock:
            self._closed = True
            self._kept.clear()
            self._tokens = None

    def _compile(self, structure: Structure) -> Grammar:
        from llguidance import LLMatcher

        text = source(structure)
        if self._tokens is None:
            self._tokens = read_tokens(self._vocabulary)
        matcher = LLMatcher(
            self._tokens.tokenizer, text, log_level=0, limits=parser_limits()
        )
        if matcher.is_error():
            said = reason(matcher.get_error(), lines=structure.kind == "lark")
            msg = f"the {name(structure)} is refused: {said}"
            raise GrammarInvalid(msg, hint="mend it; nothing was generated")
        return Grammar(matcher, self._tokens, self._masker)
