"""A loop that samples many answers side by side, apart from the engine's own."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from localkit.runtime import library
from localkit.runtime.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from localkit.runtime.structured.constraint import Constraint


class Answered(NamedTuple):
    """An answer, and whether its structure ended it."""

    text: str
    complete: bool


class Model:
    """A loaded file; without a context it only tokenizes."""

    def __init__(self, path: Path, *, n_answers: int = 0, n_ctx: int = 0) -> None:
        self._engine = library.library()
        params = self._engine.llama_model_default_params()
        params.vocab_only = not n_answers
        params.n_gpu_layers = 0
        self._model = self._engine.llama_model_load_from_file(
            str(path).encode(), params
        )
        self.vocabulary = Vocabulary(self._engine, self._model)
        self._context = self._make_context(n_answers, n_ctx) if n_answers else None

    def _make_context(self, n_answers: int, n_ctx: int) -> Any:
        params = self._engine.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_seq_max = n_answers
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = 1
        return self._engine.llama_init_from_model(self._model, params)

    def close(self) -> None:
        if self._context is not None:
            self._engine.llama_free(self._context)
        self._engine.llama_model_free(self._model)

    def forget(self) -> None:
        memory = self._engine.llama_get_memory(self._context)
        self._engine.llama_memory_clear(memory, False)

    def answer(
        self,
        prompt: str,
        constraints: Sequence[Constraint],
        *,
        seed: int,
        max_tokens: int,
    ) -> list[Answered]:
        """Sample one answer for each constraint at temperature 1, no other filter."""
        engine, rng = self._engine, np.random.default_rng(seed)
        n, n_vocab = len(constraints), self.vocabulary.n_tokens
        self.forget()
        tokens = self.vocabulary.tokenize(prompt, parse_special=True)
        self._decode([(t, p, list(range(n))) for p, t in enumerate(tokens)])
        pointer = engine.llama_get_logits_ith(self._context, -1)
        first = np.ctypeslib.as_array(pointer, shape=(n_vocab,)).copy()
        logits = dict.fromkeys(range(n), first)
        said: list[list[int]] = [[] for _ in range(n)]
        running = set(range(n))
        while running:
            for i in sorted(running):
                row = logits[i].copy()
                constraints[i].mask(row)
                token = int(np.argmax(row + rng.gumbel(size=n_vocab)))
                constraints[i].accept(token)
                ended = self.vocabulary.ends_generation(token)
                said[i] += [] if ended else [token]
                if constraints[i].finished or len(said[i]) == max_tokens:
                    running.remove(i)
            at = len(tokens) - 1
            batch = [(said[i][-1], at + len(said[i]), [i]) for i in sorted(running)]
            if batch:
                self._decode(batch)
            for row_number, i in enumerate(sorted(running)):
                pointer = engine.llama_get_logits_ith(self._context, row_number)
                logits[i] = np.ctypeslib.as_array(pointer, shape=(n_vocab,))
        return [
            Answered(self.vocabulary.detokenize(said[i]), constraints[i].finished)
            for i in range(n)
        ]

    def _decode(self, entries: list[tuple[int, int, list[int]]]) -> None:
        """Compute (token, position, sequences) for each; logits of the last ones."""
        most = max(len(sequences) for _, _, sequences in entries)
        batch = self._engine.llama_batch_init(len(entries), 0, most)
        batch.n_tokens = len(entries)
        for i, (token, position, sequences) in enumerate(entries):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i] = len(sequences)
            for j, sequence in enumerate(sequences):
                batch.seq_id[i][j] = sequence
            batch.logits[i] = most == 1 or i == len(entries) - 1
        code = self._engine.llama_decode(self._context, batch)
        self._engine.llama_batch_free(batch)
        assert code == 0, ctypes.c_int(code)
