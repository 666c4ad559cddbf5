"""Fake sessions: real, repeatable logits without weights."""

from __future__ import annotations

from pathlib import Path

from localkit.gguf.info import ModelInfo, TypeShare
from localkit.runtime.fake import FakeRuntime, FakeSession
from localkit.runtime.protocol import LoadParams


def info(quant: str = "F16") -> ModelInfo:
    return ModelInfo(
        path=Path("fake.gguf"),
        file_size=1000,
        architecture="llama",
        name="fake",
        n_params=1000,
        n_ctx_train=4096,
        n_layers=1,
        n_embd=8,
        n_heads=1,
        n_heads_kv=1,
        head_dim_k=8,
        head_dim_v=8,
        n_vocab=260,
        sliding_window=0,
        quant=quant,
        bits_per_weight=16.0,
        type_mix=(TypeShare("f16", 1, 1000, 2000),),
        chat_template=None,
        licence=None,
        tokenizer="gpt2",
        vocab_digest="0" * 64,
        lossy_origin=None,
    )


def fake_session(
    quant: str = "F16", *, noise: float = 0.0, n_ctx: int = 512, n_ubatch: int = 512
) -> FakeSession:
    """Return a session whose logits stray by ``noise`` from the noiseless one's."""
    runtime = FakeRuntime(noise={quant: noise} if noise else {})
    return runtime.load(info(quant), LoadParams(n_ctx=n_ctx, n_ubatch=n_ubatch))
