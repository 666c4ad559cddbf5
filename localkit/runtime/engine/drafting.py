"""A smaller model of the same vocabulary that guesses ahead. Owner thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localkit.errors import LoadFailed, RuntimeFailure
from localkit.runtime.engine.slots import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from localkit.runtime.engine.context import Context
    from localkit.runtime.vocabulary import Vocabulary


class DraftModel:
    """One context of the small model, shared by all answers that draft: a `Drafter`."""

    def __init__(self, engine: Any, model: Any, context: Context) -> None:
        """Take over the loaded small model."""
        self._engine = engine
        self._model = model
        self.context = context
        self._held: list[int] = []

    def propose(self, tokens: Sequence[int], most: int) -> Sequence[int]:
        """Return the ``most`` tokens that the small model would go on with.

        All answers share one sequence: what it holds beyond their common prefix
        is computed again, which costs little for a single answer and is still
        right for several.
        """
        held = self._held
        n_common = min(common_prefix(held, tokens), len(tokens) - 1)
        if len(tokens) + most > self.context.n_ctx:
            return []
        if not self.context.drop_sequence(0, start=n_common):
            self.context.drop_sequence(0)
            n_common = 0
        del held[n_common:]
        guesses: list[int] = []
        try:
            self.context.prefill(tokens[n_common:], start=n_common, output=True)
            held += tokens[n_common:]
            while True:
                guesses.append(int(self.context.logits(1)[0].argmax()))
                if len(guesses) == most:
                    return guesses
                self.context.decode([guesses[-1]], start=len(held), outputs=[0])
                held.append(guesses[-1])
        except RuntimeFailure:
            # Guesses are never needed: start over at the next one.
            self.context.clear()
            held.clear()
            return []

    def free(self) -> None:
        """Free the small model."""
        self.context.close()
        self._engine.llama_model_free(self._model)


def check_same_vocabulary(large: Vocabulary, small: Vocabulary) -> None:
    """Refuse a draft model whose tokens mean something else.

    Raises:
        LoadFailed: sizes or texts of tokens differ; says where.
    """
    hint = "take a smaller model of the same family"
    if large.n_tokens != small.n_tokens:
        msg = f"the draft model has {small.n_tokens} tokens, not {large.n_tokens}"
        raise LoadFailed(msg, hint=hint)
    # Every 61st token: a different tokenizer differs nearly everywhere.
    for token in range(0, large.n_tokens, 61):
        if large.piece(token, special=True) != small.piece(token, special=True):
            msg = f"token {token} of the draft model is another text"
            raise LoadFailed(msg, hint=hint)
