"""The vocabulary in a header: its size, its digest, and whether it is sound."""

from __future__ import annotations

import hashlib
import re
import sys
from array import array
from typing import TYPE_CHECKING, Any, Final

from localkit.errors import GGUFError

if TYPE_CHECKING:
    from localkit.gguf.fields import Fields
    from localkit.gguf.reader import Header

_BYTE_TYPE: Final = 6
_BYTE_TOKEN: Final = re.compile(rb"<0x[0-9A-Fa-f]{2}>")
_WITH_BYTE_TOKENS: Final = ("llama", "gpt2", "t5")
"""Tokenizers in which llama.cpp reads the byte out of the token's text."""
_NAMED_TOKENS: Final = ("bos", "eos", "eot", "eom", "unknown")
"""Those of the special tokens that change what a model reads or where it stops."""
_DEFAULT_TOKENS: Final[dict[str, dict[str, int]]] = {
    "bos": {"llama": 1, "gpt2": 11, "bert": 101},
    "eos": {"llama": 2, "gpt2": 11, "t5": 1},
}
"""Ids that llama.cpp assumes by tokenizer where the file names none."""
_ALWAYS_ADDED: Final[dict[str, dict[str, int]]] = {
    "bert": {"bos": 101, "seperator": 102}
}
"""Tokens that a tokenizer puts around every text; it aborts without them."""


def vocabulary_size(fields: Fields) -> int:
    """Return the number of tokens; 0 when the file has no vocabulary."""
    n_tokens = len(fields.texts("tokenizer.ggml.tokens"))
    return n_tokens or fields.integer(".vocab_size")


def vocabulary_digest(fields: Fields) -> str:
    """Return the sha256, in hex, of what turns text into tokens.

    Every list is hashed as its length, the length of each element, and the
    elements; so no two vocabularies can run into the same bytes.
    """
    digest = hashlib.sha256()
    for key in ("tokenizer.ggml.model", "tokenizer.ggml.pre"):
        text = fields.text(key, "").encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.merges"):
        texts = fields.texts(key)
        digest.update(len(texts).to_bytes(8, "little"))
        digest.update(_little_endian(array("Q", map(len, texts))))
        digest.update(b"".join(texts))
    for key in ("tokenizer.ggml.token_type", "tokenizer.ggml.scores"):
        numbers = fields.numbers(key)
        if numbers is None:
            numbers = array("B")
        digest.update(len(numbers).to_bytes(8, "little"))
        digest.update(_little_endian(numbers))
    return digest.hexdigest()


def check_vocabulary(header: Header, fields: Fields) -> None:
    """Check the vocabulary as llama.cpp relies on it.

    Raises:
        GGUFError: names the list or the token id that is wrong.
    """
    tokenizer = fields.text("tokenizer.ggml.model")
    if tokenizer in {None, "none", "no_vocab"}:
        return
    key = "tokenizer.ggml.tokens"
    tokens = fields.texts(key)
    if not tokens:
        raise GGUFError(f"{key} is empty: the model has no vocabulary", field=key)
    _check_distinct(tokens)
    for tensor in header.tensors:
        if tensor.name == "token_embd.weight" and tensor.shape[1:] != (len(tokens),):
            raise GGUFError(
                f"{key} has {len(tokens)} tokens, "
                f"but token_embd.weight has the shape {tensor.shape}",
                field=key,
            )
    types = fields.numbers("tokenizer.ggml.token_type")
    scores = fields.numbers("tokenizer.ggml.scores")
    for name, numbers in (("token_type", types), ("scores", scores)):
        if numbers is not None and len(numbers) < len(tokens):
            raise GGUFError(
                f"tokenizer.ggml.{name} has {len(numbers)} values "
                f"for {len(tokens)} tokens",
                field=f"tokenizer.ggml.{name}",
            )
    if types is not None and tokenizer in _WITH_BYTE_TOKENS:
        for id_, (token, type_) in enumerate(zip(tokens, types, strict=False)):
            if type_ == _BYTE_TYPE and not _BYTE_TOKEN.fullmatch(token):
                raise GGUFError(
                    f"{key} {id_} stands for a byte but is {token!r}, "
                    "not <0x00> to <0xFF>",
                    field=key,
                )
    _check_named(fields, tokenizer or "", len(tokens))


def _check_distinct(tokens: tuple[bytes, ...]) -> None:
    """Refuse two tokens that llama.cpp cannot tell apart: it asserts that none are.

    It reads a token up to its first zero byte, and numbers the empty ones.
    """
    seen: dict[bytes, int] = {}
    for id_, token in enumerate(tokens):
        text = token.partition(b"\0")[0] or b"[EMPTY_%d]" % id_
        first = seen.setdefault(text, id_)
        if first != id_:
            raise GGUFError(
                f"tokenizer.ggml.tokens {first} and {id_} are both {text!r}",
                field="tokenizer.ggml.tokens",
            )


def _check_named(fields: Fields, tokenizer: str, n_tokens: int) -> None:
    for name in _NAMED_TOKENS:
        key = f"tokenizer.ggml.{name}_token_id"
        if fields.has(key) and not 0 <= fields.integer(key) < n_tokens:
            raise GGUFError(
                f"{key} is {fields.integer(key)}, but there are {n_tokens} tokens",
                field=key,
            )
    for name, default in _ALWAYS_ADDED.get(tokenizer, {}).items():
        key = f"tokenizer.ggml.{name}_token_id"
        if not 0 <= fields.integer(key, default) < n_tokens:
            raise GGUFError(
                f"{key} is {fields.integer(key, default)}, "
                f"but there are {n_tokens} tokens",
                field=key,
            )
    for name, defaults in _DEFAULT_TOKENS.items():
        flag = f"tokenizer.ggml.add_{name}_token"
        by_default = name == "bos" and tokenizer in {"llama", "bert"}
        if not fields.flag(flag, default=by_default):
            continue
        id_ = fields.integer(
            f"tokenizer.ggml.{name}_token_id", defaults.get(tokenizer, n_tokens)
        )
        if id_ >= n_tokens:
            raise GGUFError(
                f"{flag} is set, but the vocabulary has no {name.upper()} token",
                field=flag,
            )


def _little_endian(numbers: array[Any]) -> bytes:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()
