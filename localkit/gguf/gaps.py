"""Whether a vocabulary has what is put around a gap in a text to have it filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from localkit.gguf.fields import Fields

_KEYS: Final = ("fim_pre", "fim_suf", "fim_mid")
# What a model of a family puts around the text before and behind a gap.
_TOKENS: Final = (
    (b"<|fim_prefix|>", b"<|fim_suffix|>", b"<|fim_middle|>"),
    (b"<fim_prefix>", b"<fim_suffix>", b"<fim_middle>"),
    (b"<fim-prefix>", b"<fim-suffix>", b"<fim-middle>"),
    ("▁<PRE>".encode(), "▁<SUF>".encode(), "▁<MID>".encode()),
    (b"<|fim_begin|>", b"<|fim_hole|>", b"<|fim_end|>"),
    tuple(f"<\uff5cfim▁{name}\uff5c>".encode() for name in ("begin", "hole", "end")),
    (b"[PREFIX]", b"[SUFFIX]", b"[MIDDLE]"),
)


def fills_gaps(fields: Fields) -> bool:
    """Return whether the header names such tokens, or the vocabulary has them."""
    if all(fields.has(f"tokenizer.ggml.{key}_token_id") for key in _KEYS):
        return True
    known = set(fields.texts("tokenizer.ggml.tokens"))
    return any(known.issuperset(gap) for gap in _TOKENS)
