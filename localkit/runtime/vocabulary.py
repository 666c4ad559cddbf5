"""Text to tokens and back, over a loaded model's vocabulary."""

from __future__ import annotations

import codecs
import ctypes
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from localkit.errors import RuntimeFailure
from localkit.runtime.engine.switching import quick_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Most tokens are under 32 bytes; a longer one tells its length and is asked again.
_PIECE_BYTES = 64


class Vocabulary:
    """The tokenizer of one model; reads only, so any thread may call it."""

    def __init__(self, engine: Any, model: Any) -> None:
        """Look up the vocabulary that ``model`` holds."""
        self._engine = engine
        self._quick = quick_calls(engine)
        self._vocab = engine.llama_model_get_vocab(model)
        self.n_tokens: int = engine.llama_vocab_n_tokens(self._vocab)
        kind = engine.llama_vocab_type(self._vocab)
        self._pieces: dict[tuple[int, bool], bytes] = {}
        self._is_bpe = kind == engine.LLAMA_VOCAB_TYPE_BPE
        self.adds_bos: bool = engine.llama_vocab_get_add_bos(self._vocab)
        self.adds_eos: bool = engine.llama_vocab_get_add_eos(self._vocab)

    @property
    def native(self) -> Any:
        """llama.cpp's pointer to it."""
        return self._vocab

    @property
    def bos(self) -> int | None:
        """The token that begins a text."""
        token: int = self._engine.llama_vocab_bos(self._vocab)
        return None if token < 0 else token

    @property
    def eos(self) -> int | None:
        """The token that ends a text."""
        token: int = self._engine.llama_vocab_eos(self._vocab)
        return None if token < 0 else token

    def ends_generation(self, token: int) -> bool:
        """Return whether the model means to stop with ``token``."""
        return bool(self._quick.llama_vocab_is_eog(self._vocab, token))

    @cached_property
    def control_tokens(self) -> Mapping[str, int]:
        """Text of every control, user-defined and unknown token, with its id."""
        engine = self._engine
        # The three that llama.cpp looks for when it parses special tokens.
        wanted = (
            engine.LLAMA_TOKEN_ATTR_CONTROL
            | engine.LLAMA_TOKEN_ATTR_USER_DEFINED
            | engine.LLAMA_TOKEN_ATTR_UNKNOWN
        )
        found = {}
        for token in range(self.n_tokens):
            if engine.llama_vocab_get_attr(self._vocab, token) & wanted:
                text = engine.llama_vocab_get_text(self._vocab, token)
                found[text.decode(errors="replace")] = token
        return MappingProxyType(found)

    def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Return the token ids of ``text``.

        Raises:
            RuntimeFailure: the text cannot be encoded (a lone surrogate).
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            msg = f"character {error.start} of the text is half a surrogate pair"
            hint = "clean it: text.encode('utf-8', 'replace').decode()"
            raise RuntimeFailure(msg, hint=hint) from error
        room = len(raw) + 8
        while True:
            tokens = (ctypes.c_int32 * room)()
            n = self._engine.llama_tokenize(
                self._vocab, raw, len(raw), tokens, room, add_special, parse_special
            )
            if n >= 0:
                return list(tokens[:n])
            room = -n

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of one token; control tokens only if ``special``."""
        known = self._pieces.get((token, special))
        if known is None:
            known = self._pieces[token, special] = self._piece(token, special)
        return known

    def _piece(self, token: int, special: bool) -> bytes:
        room = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(room)
            n = self._quick.llama_token_to_piece(
                self._vocab, token, buffer, room, 0, special
            )
            if n >= 0:
                return buffer.raw[:n]
            room = -n

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """Return the text of ``tokens``; broken characters become U+FFFD."""
        if self._is_bpe:
            # llama_detokenize drops the space of " ?" where the file asks to clean
            # spaces; the pieces of a BPE vocabulary are its text, byte for byte.
            pieces = (self.piece(token, special=special) for token in tokens)
            return b"".join(pieces).decode(errors="replace")
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        room = 16 * len(tokens) + 16
        while True:
            buffer = ctypes.create_string_buffer(room)
            n = self._engine.llama_detokenize(
                self._vocab, ids, len(tokens), buffer, room, False, special
            )
            if n >= 0:
                return buffer.raw[:n].decode(errors="replace")
            room = -n


class TextAssembler:
    """Turn tokens into text as they come, never splitting a character.

    Text that may be the beginning of a stop text is held back until it is clear.
    """

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str]) -> None:
        """Start empty; empty stop texts are ignored."""
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False
        """Whether a stop text was met; nothing is added after it."""

    def add(self, token: int) -> str:
        """Return the text that ``token`` makes certain."""
        text = self._decoder.decode(self._vocabulary.piece(token))
        if not self._stops:
            return text
        self._held += text
        ends = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.stopped = True
            return self._release(min(ends))
        return self._release(len(self._held) - self._undecided())

    def finish(self) -> str:
        """Return what was held back, now that no more tokens come."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(b"", final=True)
        return self._release(len(self._held))

    def _release(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _undecided(self) -> int:
        """Return how many last characters may begin a stop text."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
